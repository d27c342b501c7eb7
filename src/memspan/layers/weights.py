"""Initial weights of a layer, drawn through torch's own generator."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes

from memspan.cells.cell import Cell
from memspan.cells.initial import initial_parameters, matrix
from memspan.errors import ArgumentError


@dataclass(frozen=True)
class Initial:
    """How a cell's parameters are filled.

    Args:
        init: ``"torch"``, uniform on ±1/√H in ``torch.nn``'s order, so that one ``torch.manual_seed`` gives
            the weights of its layer; or a name of ``memspan.cells.initial``, with zero biases.
        forget_bias: the forget gate's total bias at the start; None leaves it as drawn.
    """

    init: str = "torch"
    forget_bias: float | None = None

    def check(self, cell: Cell) -> None:
        """Refuse an unknown init, and a forget bias for a cell without forget gate or biases."""
        matrix(self.init, cell.hidden_size)
        if self.forget_bias is not None and ("f" not in cell.gates or not cell.biases):
            raise ArgumentError(
                f"forget_bias={self.forget_bias!r}: {cell!r} has no forget gate with a bias; use an LSTM"
            )

    def fill(self, cell: Cell, p: Mapping[str, Tensor]) -> None:
        """Overwrite the parameters of one cell."""
        with torch.no_grad():
            if self.init == "torch":
                _as_torch(cell, p)
            else:
                _by_name(cell, p, self.init)
            if self.forget_bias is not None:
                _set_forget_bias(cell, p, self.forget_bias)


def _as_torch(cell: Cell, p: Mapping[str, Tensor]) -> None:
    bound = 1.0 / math.sqrt(cell.hidden_size)
    for value in p.values():
        value.uniform_(-bound, bound)
    if cell.own_initial(0):  # only then a seed is drawn: torch's layers draw none
        _copy(cell.own_initial(_seed()), p)


def _by_name(cell: Cell, p: Mapping[str, Tensor], init: str) -> None:
    _copy(initial_parameters(cell, seed=_seed(), init=init), p)


def _seed() -> int:
    with _disable_current_modes():  # a fake tensor, for one, has no number to begin with
        return int(torch.randint(2**62, (), device="cpu"))


def _copy(values: Mapping[str, np.ndarray], p: Mapping[str, Tensor]) -> None:
    for name, value in values.items():
        p[name].copy_(torch.from_numpy(value))


def _set_forget_bias(cell: Cell, p: Mapping[str, Tensor], forget_bias: float) -> None:
    at = cell.gates.index("f") * cell.hidden_size
    for name, value in (("bias_ih", forget_bias), ("bias_hh", 0.0)):
        if name in p:
            p[name][at : at + cell.hidden_size] = value
