"""Copying: ten symbols are shown, then nothing for a while, then all ten are asked for in their order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from memspan.errors import ArgumentError
from memspan.tasks.task import Batch, Task

COPIED, ALPHABET = 10, 8
BLANK, MARKER = ALPHABET, ALPHABET + 1


@dataclass(frozen=True)
class Copy(Task):
    """Ten symbols of eight, ``delay`` − 1 blanks, a marker, ten blanks, where the ten symbols are due.

    Symbols 0 … 7 are uniform, 8 is the blank, 9 the marker. Every symbol is due ``delay`` + 10 steps after it
    was read, the first of them with the first blank after the marker. Loss and score count the last ten
    positions only. Chance accuracy is 1/8.

    Args:
        delay: steps from the last symbol to the marker, at least 1.

    Source:
        S. Hochreiter & J. Schmidhuber (1997); in this form M. Arjovsky, A. Shah & Y. Bengio (2016).

    Differs:
        There the network is also asked for blanks before the last ten positions.

    Example:
        >>> batch = Copy(delay=3).sample(np.random.default_rng(0), 1)
        >>> batch.inputs[:, 0].tolist()
        [6, 5, 4, 2, 2, 0, 0, 0, 1, 6, 8, 8, 9, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8]
        >>> batch.targets[:, 0].tolist()
        [6, 5, 4, 2, 2, 0, 0, 0, 1, 6]
    """

    delay: int

    name = "copy"
    axis = "delay"
    symbols = ALPHABET + 2
    classes = ALPHABET
    due = COPIED
    solved_at = 0.99

    def __post_init__(self) -> None:
        if self.delay < 1:
            raise ArgumentError(f"delay {self.delay}: the marker comes at least 1 step after the last symbol")

    @property
    def steps(self) -> int:
        """Symbols in a sequence, delay + 20."""
        return self.delay + 2 * COPIED

    def sample(self, generator: np.random.Generator, n: int) -> Batch:
        """Draw n sequences.

        Returns:
            inputs (delay + 20, n) symbols, targets (10, n): the answers due at the last ten positions.
        """
        shown = generator.integers(0, ALPHABET, size=(COPIED, n), dtype=np.int64)
        inputs = np.full((self.steps, n), BLANK, dtype=np.int64)
        inputs[:COPIED] = shown
        inputs[-COPIED - 1] = MARKER
        return Batch(inputs, shown)
