"""The study as one would first write it: a Python loop over time, a product for every gate, plain torch."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from memspan.config import RunConfig
from memspan.streams import stream

GATES = {"rnn": ("h",), "lstm": ("i", "f", "g", "o")}


class PerGate(nn.Module):
    """A vanilla RNN or an LSTM, one input and one recurrent matrix for every gate, and a linear read-out.

    Equations:
        rnn: h ← tanh(W x + U h + b)
        lstm: i, f, o = σ(W x + U h + b), g = tanh(W x + U h + b); c ← g ⊙ i + c ⊙ f; h ← tanh(c) ⊙ o
    """

    def __init__(self, cell: str, hidden: int, classes: int) -> None:
        super().__init__()
        self.cell, self.hidden = cell, hidden
        self.w = self._matrices(1)
        self.u = self._matrices(hidden)
        self.b = nn.ParameterDict({gate: torch.zeros(hidden) for gate in GATES[cell]})
        self.read_out = nn.Linear(hidden, classes)

    def _matrices(self, inputs: int) -> nn.ParameterDict:
        drawn = (nn.init.xavier_normal_(torch.empty(inputs, self.hidden)) for _ in GATES[self.cell])
        return nn.ParameterDict(zip(GATES[self.cell], drawn, strict=True))

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits after the last step of x (T, B, 1)."""
        h = c = x.new_zeros(x.shape[1], self.hidden)
        for now in x:
            if self.cell == "rnn":
                h = torch.tanh(self._gate("h", now, h))
                continue
            i, f, o = (torch.sigmoid(self._gate(gate, now, h)) for gate in "ifo")
            c = torch.tanh(self._gate("g", now, h)) * i + c * f
            h = torch.tanh(c) * o
        return self.read_out(h)

    def _gate(self, gate: str, x: Tensor, h: Tensor) -> Tensor:
        return x @ self.w[gate] + h @ self.u[gate] + self.b[gate]


class Training:
    """One run of the study on a per-gate network."""

    def __init__(self, run: RunConfig) -> None:
        self.run = run
        self.network = PerGate(run.recipe.cell, run.recipe.hidden, run.task.classes)
        self.optimizer = torch.optim.RMSprop(self.network.parameters(), run.recipe.learning_rate)

    def updates(self, first: int, last: int) -> None:
        """Apply updates first … last."""
        for t in range(first, last + 1):
            self.update(t)

    def update(self, t: int) -> None:
        """Apply update t: draw a batch, read it, clip, step."""
        run = self.run
        batch = run.task.sample(stream(run.seed, run.task.purpose("train"), t - 1), run.recipe.batch)
        logits = self.network(torch.from_numpy(batch.inputs).float().unsqueeze(-1))
        loss = functional.cross_entropy(logits, torch.from_numpy(batch.targets))
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), run.recipe.clip)
        self.optimizer.step()
        loss.item()
