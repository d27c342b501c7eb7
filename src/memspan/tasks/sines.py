"""Sines: is the period between 5 and 6 ms? Asked of short stretches, sampled regularly or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from memspan.errors import UnknownNameError
from memspan.tasks.task import Batch, Task

Sampling = Literal["standard", "fine", "asynchronous"]
LONGEST, SHORTEST = 125.0, 15.0
INSIDE, OUTSIDE = (5.0, 6.0), (1.0, 100.0)
GRID = {"standard": 1.0, "fine": 0.1}
"""Milliseconds between two samples; the grid begins with the stretch."""
POINTS = (15, 125)


@dataclass(frozen=True)
class Sines(Task):
    """Stretches of x(t) = sin(2πt/p − u); class 1 if the period p lies in [5, 6] ms, else class 0.

    Half of each class (of an odd number, either gets the extra one). p is uniform on [5, 6], or log-uniform
    on [1, 100] outside it; u uniform on [0, 2π); the duration uniform on [15, 125], its start uniform on
    [0, 125 − duration]. Chance accuracy is ½.

    Args:
        sampling: *standard*, a grid of 1 ms; *fine*, of 0.1 ms; *asynchronous*, 15 … 125 points at sorted
            uniform times.

    Units:
        Milliseconds.

    Source:
        D. Neil, M. Pfeiffer & S.-C. Liu (2016), "Phased LSTM", frequency discrimination.

    Differs:
        A grid of 1 ms cannot tell a period p in [1.2, 1.25] from 1/(1 − 1/p) in [5, 6]: nobody can be right
        more often than 99.5% of the time there.

    Example:
        >>> batch = Sines("standard").sample(np.random.default_rng(0), 4)
        >>> batch.inputs.shape, batch.lengths.tolist(), sorted(batch.targets.tolist())
        ((125, 4, 1), [105, 16, 110, 19], [0, 0, 1, 1])
    """

    sampling: Sampling = "standard"

    name = "sines"
    symbols = 0
    classes = 2
    solved_at = 0.99

    def __post_init__(self) -> None:
        if self.sampling not in get_args(Sampling):
            raise UnknownNameError("sampling", self.sampling, get_args(Sampling))

    @property
    def steps(self) -> int:
        """Samples of the longest stretch: 125, 1250 on the fine grid."""
        return round(LONGEST / GRID.get(self.sampling, 1.0))

    @property
    def duration(self) -> float:
        """Milliseconds of the longest stretch, 125."""
        return LONGEST

    def sample(self, generator: np.random.Generator, n: int) -> Batch:
        """Draw n stretches.

        Returns:
            inputs (T, n, 1), times (T, n), lengths (n,), targets (n,).
        """
        targets = generator.permutation((np.arange(n) + generator.integers(2)) % 2)
        period = np.where(targets == 1, generator.uniform(*INSIDE, size=n), _outside(generator, n))
        duration = generator.uniform(SHORTEST, LONGEST, size=n)
        start = generator.uniform(0, LONGEST - duration)
        u = generator.uniform(0, 2 * np.pi, size=n)
        draw = self._scattered if self.sampling == "asynchronous" else self._regular
        times, lengths = draw(generator, start, duration)
        inside = np.arange(self.steps)[:, None] < lengths
        x = np.where(inside, np.sin(2 * np.pi * times / period - u), 0.0)
        return Batch(x[..., None].astype(np.float32), targets, times, lengths)

    def _regular(
        self, generator: np.random.Generator, start: np.ndarray, duration: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        gap = GRID[self.sampling]
        lengths = np.minimum(np.floor(duration / gap).astype(np.int64) + 1, self.steps)
        return start + gap * np.minimum(np.arange(self.steps)[:, None], lengths - 1), lengths

    def _scattered(
        self, generator: np.random.Generator, start: np.ndarray, duration: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        lengths = generator.integers(POINTS[0], POINTS[1] + 1, size=len(start))
        u = generator.uniform(size=(self.steps, len(start)))
        past = np.arange(self.steps)[:, None] >= lengths
        u = np.where(past, -1.0, u)
        u = np.where(past, u.max(axis=0), u)
        return start + duration * np.sort(u, axis=0), lengths


def _outside(generator: np.random.Generator, n: int) -> np.ndarray:
    """Draw periods log-uniform on [1, 100] without [5, 6]."""
    below, gap = np.log(INSIDE[0] / OUTSIDE[0]), np.log(INSIDE[1] / INSIDE[0])
    v = generator.uniform(0, np.log(OUTSIDE[1] / OUTSIDE[0]) - gap, size=n)
    return OUTSIDE[0] * np.exp(np.where(v < below, v, v + gap))
