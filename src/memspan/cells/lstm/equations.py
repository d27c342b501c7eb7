"""Long short-term memory, with a forget gate and without peepholes."""

from __future__ import annotations

from torch import Tensor

from memspan.cells.cell import Cell, Parameters, State, products


class LSTM(Cell):
    """Long short-term memory.

    Equations:
        (i, f, g, o) = (σ, σ, tanh, σ)(W_ih x + b_ih + W_hh h + b_hh)
        c' = f ⊙ c + i ⊙ g
        h' = o ⊙ tanh(c')

    Source:
        S. Hochreiter & J. Schmidhuber (1997), "Long short-term memory"; forget gate: F. Gers,
        J. Schmidhuber & F. Cummins (2000), "Learning to forget". The variant of ``torch.nn.LSTM``.
    """

    name = "lstm"
    gates = ("i", "f", "g", "o")
    states = ("h", "c")

    def step(self, p: Parameters, x: Tensor, state: State, time: Tensor | None = None) -> State:
        """Return (h_t, c_t)."""
        gate = self.gate_values(p, x, state)
        c = gate["f"] * state[1] + gate["i"] * gate["g"]
        return gate["o"] * c.tanh(), c

    def gate_values(self, p: Parameters, x: Tensor, state: State) -> dict[str, Tensor]:
        """Return input gate i, forget gate f, candidate g and output gate o."""
        zx, zh = products(p, x, state[0])
        i, f, g, o = (zx + zh).chunk(4, -1)
        return {"i": i.sigmoid(), "f": f.sigmoid(), "g": g.tanh(), "o": o.sigmoid()}
