"""Variants of the LSTM that ask what each gate is for; studied, not offered. They go by their import path."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from memspan.cells.cell import Parameters, State, products
from memspan.cells.lstm.equations import LSTM

Activation = Callable[[Tensor], Tensor]
USUAL: dict[str, Activation] = {
    "i": torch.sigmoid,
    "f": torch.sigmoid,
    "g": torch.tanh,
    "o": torch.sigmoid,
}


class Variant(LSTM):
    """An LSTM with the activation of one gate replaced.

    Args:
        gate: which of i, f, g, o.
        activation: its new activation.

    Example:
        >>> values = held_f(1, 2).gate_values(
        ...     {"weight_ih": torch.zeros(8, 1), "weight_hh": torch.zeros(8, 2)},
        ...     torch.zeros(1, 1),
        ...     (torch.zeros(1, 2),),
        ... )
        >>> values["f"].tolist(), values["o"].tolist()
        ([[1.0, 1.0]], [[0.5, 0.5]])
    """

    name = "lstm_variant"

    def __init__(
        self, input_size: int, hidden_size: int, biases: int, gate: str, activation: Activation
    ) -> None:
        super().__init__(input_size, hidden_size, biases)
        self.activations = USUAL | {gate: activation}

    def gate_values(self, p: Parameters, x: Tensor, state: State) -> dict[str, Tensor]:
        """Return i, f, g and o."""
        zx, zh = products(p, x, state[0])
        parts = dict(zip(self.gates, (zx + zh).chunk(4, -1), strict=True))
        return {name: self.activations[name](part) for name, part in parts.items()}


def sigmoid_g(input_size: int, hidden_size: int, biases: int = 2) -> Variant:
    """Return the LSTM whose candidate g is a sigmoid."""
    return Variant(input_size, hidden_size, biases, "g", torch.sigmoid)


def relu_g(input_size: int, hidden_size: int, biases: int = 2) -> Variant:
    """Return the LSTM whose candidate g is max(0, ·)."""
    return Variant(input_size, hidden_size, biases, "g", torch.relu)


def held_i(input_size: int, hidden_size: int, biases: int = 2) -> Variant:
    """Return the LSTM whose input gate is held at 1."""
    return Variant(input_size, hidden_size, biases, "i", torch.ones_like)


def held_f(input_size: int, hidden_size: int, biases: int = 2) -> Variant:
    """Return the LSTM whose forget gate is held at 1: the context only ever adds up."""
    return Variant(input_size, hidden_size, biases, "f", torch.ones_like)


def held_g(input_size: int, hidden_size: int, biases: int = 2) -> Variant:
    """Return the LSTM whose candidate is held at 1."""
    return Variant(input_size, hidden_size, biases, "g", torch.ones_like)


def held_o(input_size: int, hidden_size: int, biases: int = 2) -> Variant:
    """Return the LSTM whose output gate is held at 1."""
    return Variant(input_size, hidden_size, biases, "o", torch.ones_like)
