"""How the next character is chosen: one frozen page, without torch."""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass

from memspan.errors import ArgumentError


@dataclass(frozen=True)
class Sampling:
    """How the next character is chosen: temperature, top_k, top_p and min_p, in this order, then a draw.

    Row i of a batch draws its numbers from seed + i and its place in the text alone, so a text is the same
    alone, in a batch and in blocks of any size. Equally probable characters are kept or dropped together.

    Raises:
        ArgumentError: a value outside its range.

    Example:
        >>> Sampling(temperature=0.8, top_p=0.9, seed=3).greedy
        False
    """

    temperature: float = 0.0
    """Divides the energies, beside the model's own temperature; 0 takes the most probable character."""
    top_k: int = 0
    """Keep the k most probable characters; 0 keeps all."""
    top_p: float = 1.0
    """Keep the most probable characters whose probabilities sum to p; 1 keeps all."""
    min_p: float = 0.0
    """Keep characters at least so probable as a part of the most probable; 0 keeps all."""
    seed: int = 0
    """Names the random numbers of the first row; the i-th after it has seed + i."""

    def __post_init__(self) -> None:
        for name in ("temperature", "top_p", "min_p"):
            _check_kind(self, name, numbers.Real, "a number")
        for name in ("top_k", "seed"):
            _check_kind(self, name, numbers.Integral, "a whole number")
        _require(0 <= self.temperature < math.inf, self, "temperature", "0 or positive")
        _require(self.top_k >= 0, self, "top_k", "0 (off) or the number of characters to keep")
        _require(0 < self.top_p <= 1, self, "top_p", "above 0, at most 1 (off)")
        _require(0 <= self.min_p <= 1, self, "min_p", "0 (off) … 1")
        _require(0 <= self.seed < 2**63, self, "seed", "in 0 … 2⁶³ − 1")

    @property
    def greedy(self) -> bool:
        """Whether the most probable character is taken, without a draw."""
        return self.temperature == 0


def _require(condition: bool, sampling: Sampling, name: str, expected: str) -> None:
    if not condition:
        raise ArgumentError(f"{name} {getattr(sampling, name)!r}: expected {expected}")


def _check_kind(sampling: Sampling, name: str, kind: type, expected: str) -> None:
    """Refuse what is not of a kind of number, such as a seed of 1.5, which would be cut to 1 in silence."""
    value = getattr(sampling, name)
    if isinstance(value, bool) or not isinstance(value, kind):
        raise ArgumentError(f"{name} {value!r}: expected {expected}, got {type(value).__name__}")
