"""Associative recall: keys, each with its value, then one of the keys again; its value is asked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from memspan.errors import ArgumentError
from memspan.tasks.task import Batch, Task

VALUES, KEYS = 10, 26


@dataclass(frozen=True)
class AssociativeRecall(Task):
    """``pairs`` distinct keys, each followed by its value, then one of those keys; the answer is its value.

    Values are the symbols 0 … 9, uniform; keys the symbols 10 … 35. Chance accuracy is 1/10.

    Args:
        pairs: key-value pairs shown, 1 … 26.

    Source:
        J. Ba, G. Hinton, V. Mnih, J. Leibo & C. Ionescu (2016), "Using fast weights to attend to the recent
        past".

    Example:
        >>> batch = AssociativeRecall(pairs=3).sample(np.random.default_rng(0), 1)
        >>> batch.inputs[:, 0].tolist(), batch.targets.tolist()
        ([29, 4, 14, 4, 20, 0, 29], [4])
    """

    pairs: int

    name = "associative_recall"
    axis = "pairs"
    span_range = (1, KEYS)
    symbols = VALUES + KEYS
    classes = VALUES
    solved_at = 0.99

    def __post_init__(self) -> None:
        if not 1 <= self.pairs <= KEYS:
            raise ArgumentError(f"pairs {self.pairs}: expected 1 … {KEYS}, since keys are distinct")

    @property
    def steps(self) -> int:
        """Symbols in a sequence, 2 · pairs + 1."""
        return 2 * self.pairs + 1

    def sample(self, generator: np.random.Generator, n: int) -> Batch:
        """Draw n sequences.

        Returns:
            inputs (2 · pairs + 1, n) symbols, targets (n,) values.
        """
        keys = generator.permuted(np.tile(np.arange(KEYS), (n, 1)), axis=1).T[: self.pairs]
        values = generator.integers(0, VALUES, size=(self.pairs, n), dtype=np.int64)
        asked = generator.integers(0, self.pairs, size=n)[None]
        inputs = np.empty((self.steps, n), dtype=np.int64)
        inputs[:-1:2], inputs[1::2] = VALUES + keys, values
        inputs[-1] = VALUES + np.take_along_axis(keys, asked, axis=0)[0]
        return Batch(inputs, np.take_along_axis(values, asked, axis=0)[0])
