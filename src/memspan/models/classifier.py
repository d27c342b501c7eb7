"""Sequence classifier: a recurrent cell reads the sequence, a linear map reads its last state."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from memspan.cells import CELLS
from memspan.cells.cell import Cell
from memspan.cells.initial import initial_parameters, matrix
from memspan.config import RunConfig
from memspan.errors import ArgumentError
from memspan.kernels import unroll
from memspan.kernels.unroll import KernelName
from memspan.streams import stream

READ_OUT = ("read_out.weight", "read_out.bias")


@dataclass(frozen=True)
class SequenceClassifier:
    """A cell and a linear read-out of its last state; the weights are kept outside.

    Args:
        cell: equations and sizes.
        classes: number of answers K.
        scalar: symbols enter as their raw value (D = 1) instead of as one of K unit vectors.
    """

    cell: Cell
    classes: int
    scalar: bool = True

    @classmethod
    def of(cls, run: RunConfig) -> SequenceClassifier:
        """Build the network a run describes, with one bias per gate as in the report.

        Raises:
            ArgumentError: a task of real inputs or several answers.
        """
        if not run.task.symbols or run.task.answers != 1:
            raise ArgumentError(f"task {run.task.name!r} has real inputs; SequenceClassifier reads symbols")
        recipe, scalar = run.recipe, run.recipe.coding == "scalar"
        options = {"nonlinearity": recipe.nonlinearity} if recipe.cell == "rnn" else {}
        inputs = 1 if scalar else run.task.symbols
        cell = CELLS.resolve(recipe.cell)(inputs, recipe.hidden, biases=1, **options)
        return cls(cell, run.task.classes, scalar)

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return name → shape: the cell's parameters, then the read-out's (K, H) and (K,)."""
        hidden = self.cell.hidden_size
        return self.cell.parameter_shapes() | dict(
            zip(READ_OUT, [(self.classes, hidden), (self.classes,)], strict=True)
        )

    def parameter_count(self) -> int:
        """Return the number of weights: 4(nd + n² + n) + on + o for an LSTM with n units and o answers."""
        return sum(math.prod(shape) for shape in self.parameter_shapes().values())

    def initial(self, run: RunConfig) -> dict[str, np.ndarray]:
        """Draw the initial weights of a run from its seed's streams."""
        recipe = run.recipe
        values = initial_parameters(
            self.cell, seed=run.seed, init=recipe.init, bias=recipe.bias, longest=run.task.steps + 1
        )
        init = "xavier_normal" if recipe.init == "identity" else recipe.init
        weight = matrix(init, self.cell.hidden_size)(
            stream(run.seed, "initial read_out.weight"), self.classes, self.cell.hidden_size
        )
        return values | {
            READ_OUT[0]: weight.astype(np.float32),
            READ_OUT[1]: np.zeros(self.classes, np.float32),
        }

    def last_state(self, p: Mapping[str, Tensor], symbols: Tensor, kernel: KernelName = "auto") -> Tensor:
        """Read sequences and return the last hidden state.

        Shapes:
            symbols (R, T, B) integers → (R, B, H).
        """
        x = symbols.to(p["weight_ih"].dtype).unsqueeze(-1) if self.scalar else symbols
        weights = {name: p[name] for name in self.cell.parameter_shapes()}
        return unroll(self.cell, weights, x, outputs="last", kernel=kernel).outputs

    def logits(self, p: Mapping[str, Tensor], h: Tensor) -> Tensor:
        """Return the K energies of one replica's states h (B, H); p holds that replica's read-out."""
        return functional.linear(h, p[READ_OUT[0]], p[READ_OUT[1]])


def correct(logits: Tensor, targets: Tensor) -> Tensor:
    """Return how many rows have their largest energy at the target, as a 0-d tensor."""
    return (logits.argmax(-1) == targets).sum()


def as_symbols(arrays: list[np.ndarray]) -> Tensor:
    """Stack one (T, B) array a replica into symbols (R, T, B)."""
    return torch.from_numpy(np.stack(arrays))
