"""The vanilla recurrent unit (Elman 1990): the state is replaced at every step."""

from __future__ import annotations

import torch
from torch import Tensor

from memspan.cells.cell import Cell, Parameters, State, products
from memspan.errors import UnknownNameError

NONLINEARITIES = {"tanh": torch.tanh, "relu": torch.relu}


class RNN(Cell):
    """Vanilla recurrent unit.

    Equations:
        h_t = φ(W_ih x_t + b_ih + W_hh h_{t−1} + b_hh), φ = tanh or max(0, ·)

    Args:
        nonlinearity: ``"tanh"`` or ``"relu"``.

    Source:
        J. L. Elman (1990), "Finding structure in time"; the variant of ``torch.nn.RNN``.
    """

    name = "rnn"
    gates = ("h",)

    def __init__(
        self, input_size: int, hidden_size: int, biases: int = 2, nonlinearity: str = "tanh"
    ) -> None:
        super().__init__(input_size, hidden_size, biases)
        if nonlinearity not in NONLINEARITIES:
            raise UnknownNameError("nonlinearity", nonlinearity, NONLINEARITIES)
        self.nonlinearity = nonlinearity

    def step(self, p: Parameters, x: Tensor, state: State, time: Tensor | None = None) -> State:
        """Return (h_t,)."""
        zx, zh = products(p, x, state[0])
        return (NONLINEARITIES[self.nonlinearity](zx + zh),)

    def gate_values(self, p: Parameters, x: Tensor, state: State) -> dict[str, Tensor]:
        """Return the only activation there is, the new state."""
        return {"h": self.step(p, x, state)[0]}
