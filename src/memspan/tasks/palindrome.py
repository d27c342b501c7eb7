"""Palindromes: the last digit equals the first, so answering it needs the whole length remembered."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from memspan.errors import ArgumentError
from memspan.tasks.task import Batch, Task


@dataclass(frozen=True)
class Palindrome(Task):
    """Palindromes of T digits; the first T − 1 are shown, the last is asked.

    The first ⌈T/2⌉ digits are uniform on 0 … 9 and then mirrored; an odd T has a middle digit
    that is not repeated. Chance accuracy is 1/10, chance loss ln 10.

    Args:
        length: T ≥ 2, digits in a whole palindrome.

    Example:
        >>> batch = Palindrome(length=5).sample(np.random.default_rng(0), 1)
        >>> batch.inputs[:, 0].tolist(), batch.targets.tolist()
        ([8, 6, 5, 6], [8])
    """

    length: int

    name = "palindrome"
    axis = "length"
    symbols = 10
    classes = 10
    solved_at = 0.99

    def __post_init__(self) -> None:
        if self.length < 2:
            raise ArgumentError(f"length {self.length}: a palindrome here needs at least 2 digits")

    @property
    def steps(self) -> int:
        """Number of digits shown, T − 1."""
        return self.length - 1

    def sample(self, generator: np.random.Generator, n: int) -> Batch:
        """Draw n palindromes.

        Returns:
            inputs (T − 1, n) digits, targets (n,) the last digit of each.
        """
        half = generator.integers(0, 10, size=((self.length + 1) // 2, n), dtype=np.int64)
        digits = np.concatenate([half, half[::-1][self.length % 2 :]])
        return Batch(inputs=digits[:-1], targets=digits[-1])
