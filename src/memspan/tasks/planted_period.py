"""A planted period: noise, and its mean under a time gate that the learner does not know."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from memspan.errors import ArgumentError
from memspan.tasks.task import Batch, Task

LONGEST = 10_000_000
"""Steps of a sequence."""


@dataclass(frozen=True)
class PlantedPeriod(Task):
    """Standard normal noise x_t over N cycles; the answer is its mean weighted by a planted gate k(t).

    Equations:
        y = Σ k_t x_t / Σ k_t, with k a triangle over the first r* of each period τ*, from s* on

    The score is the explained share of y's variance, 0 for the best blind answer (which is 0, with mean
    squared error Σ k_t² / (Σ k_t)²).

    Args:
        cycles: N.
        period: τ*, in steps.
        shift: s*, in steps.
        open_ratio: r*.

    Units:
        Steps; times are 0, 1, 2, ….

    Example:
        >>> task = PlantedPeriod(cycles=2, period=10.0, open_ratio=0.4)
        >>> task.weights().round(3).tolist()[:6], task.steps
        ([0.0, 0.125, 0.25, 0.125, 0.0, 0.0], 20)
    """

    cycles: int = 20
    period: float = 50.0
    shift: float = 0.0
    open_ratio: float = 0.2

    name = "planted_period"
    axis = "cycles"
    span_range = (5, 320)
    symbols = 0
    classes = 0
    solved_at = 0.99

    def __post_init__(self) -> None:
        if not (self.cycles >= 1 and 1 < self.period < np.inf and 0 < self.open_ratio <= 1):
            raise ArgumentError(
                f"cycles {self.cycles}, period {self.period:g}, open ratio {self.open_ratio:g}: expected at"
                " least 1, more than 1 step, and above 0 up to 1"
            )
        if self.cycles > LONGEST / self.period:  # before the gate's course is made, a number a step
            raise ArgumentError(
                f"cycles {self.cycles} of period {self.period:g}: expected at most {LONGEST:,} steps"
            )
        if not (np.isfinite(self.shift) and self._openness().any()):
            raise ArgumentError(
                f"shift {self.shift:g}: the planted gate opens at no step; widen it or move it"
            )

    @property
    def steps(self) -> int:
        """Steps in a sequence, N·τ* rounded up."""
        return int(np.ceil(self.cycles * self.period))

    def _openness(self) -> np.ndarray:
        phase = np.mod(np.arange(self.steps) - self.shift, self.period) / self.period
        return np.maximum(0.0, 1 - np.abs(2 * phase / self.open_ratio - 1))

    def weights(self) -> np.ndarray:
        """Return the weight of every step in the answer, (T,), their sum 1."""
        k = self._openness()
        return k / k.sum()

    def blind_error(self) -> float:
        """Return the mean squared error of the best answer given without looking."""
        return float((self.weights() ** 2).sum())

    def sample(self, generator: np.random.Generator, n: int) -> Batch:
        """Draw n sequences.

        Returns:
            inputs (T, n, 1), times (T,), targets (n,) real numbers.
        """
        x = generator.standard_normal((self.steps, n))
        times = np.arange(self.steps, dtype=np.float64)
        return Batch(x[..., None].astype(np.float32), (self.weights() @ x).astype(np.float32), times)
