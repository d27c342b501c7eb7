"""Adding: among many numbers two are marked, one in each half; their sum is asked at the end."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from memspan.errors import ArgumentError
from memspan.tasks.task import Batch, Task


@dataclass(frozen=True)
class Adding(Task):
    """Numbers uniform on [0, 1), one of each half marked by a 1; the answer is the sum of the two.

    The score is the explained share of the answer's variance, 0 for the best blind answer (which is 1, with
    mean squared error 1/6). Solved: a mean squared error of at most 0.01, a score of at least 0.94. An odd
    length has its middle number in the second half.

    Args:
        length: T ≥ 2, numbers in a sequence.

    Source:
        S. Hochreiter & J. Schmidhuber (1997), "Long short-term memory", experiment 4; with one mark in each
        half Q. Le, N. Jaitly & G. Hinton (2015).

    Example:
        >>> batch = Adding(length=4).sample(np.random.default_rng(0), 1)
        >>> [[round(float(number), 2) for number in step] for step in batch.inputs[:, 0]]
        [[0.64, 1.0], [0.27, 0.0], [0.04, 0.0], [0.02, 1.0]]
        >>> round(float(batch.targets[0]), 2)
        0.65
    """

    length: int

    name = "adding"
    axis = "length"
    symbols = 0
    features = 2
    classes = 0
    solved_at = 0.94

    def __post_init__(self) -> None:
        if self.length < 2:
            raise ArgumentError(f"length {self.length}: two marked numbers need at least 2 steps")

    @property
    def steps(self) -> int:
        """Numbers in a sequence, T."""
        return self.length

    def blind_error(self) -> float:
        """Return the mean squared error of the best answer given without looking: 2 · 1/12."""
        return 1 / 6

    def sample(self, generator: np.random.Generator, n: int) -> Batch:
        """Draw n sequences.

        Returns:
            inputs (T, n, 2): number and mark; targets (n,) real numbers.
        """
        numbers = generator.uniform(size=(self.length, n))
        half = self.length // 2
        marked = np.stack(
            [generator.integers(0, half, size=n), generator.integers(half, self.length, size=n)]
        )
        marks = np.zeros_like(numbers)
        np.put_along_axis(marks, marked, 1.0, axis=0)
        answers = np.take_along_axis(numbers, marked, axis=0).sum(axis=0)
        return Batch(np.stack([numbers, marks], axis=-1).astype(np.float32), answers.astype(np.float32))
