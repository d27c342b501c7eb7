"""Scores of several runs on several tasks in one number, under rliable's names. scipy is imported on use.

Scores are (N, M): N runs of M tasks; a list of N scores is one task. The bootstrap is stratified: it
redraws runs within each task, never tasks.

Source:
    R. Agarwal, M. Schwarzer, P. S. Castro, A. Courville & M. Bellemare (2021), "Deep reinforcement learning
    at the edge of the statistical precipice", whose package rliable has these names.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from memspan.errors import ShapeError
from memspan.statistics.intervals import Interval, resampled


def aggregate_mean(scores: ArrayLike) -> float:
    """Return the mean over tasks of the mean over runs."""
    return float(_table(scores).mean())


def aggregate_median(scores: ArrayLike) -> float:
    """Return the median over tasks of the mean over runs."""
    return float(np.median(_table(scores).mean(axis=0)))


def aggregate_iqm(scores: ArrayLike) -> float:
    """Return the interquartile mean: the mean of the middle half of all scores, cut at both quarters."""
    from scipy.stats import trim_mean

    return float(trim_mean(_table(scores), 0.25, axis=None))


def aggregate_optimality_gap(scores: ArrayLike, gamma: float = 1.0) -> float:
    """Return by how much scores fall short of gamma, on the mean; what is above gamma counts as gamma."""
    return float(gamma - np.minimum(_table(scores), gamma).mean())


def probability_of_improvement(
    scores_x: ArrayLike,
    scores_y: ArrayLike,
    *,
    confidence: float = 0.95,
    resamples: int = 1999,
    seed: int = 0,
) -> Interval:
    """Return how likely a run of x is above a run of y on a task, averaged over tasks; a tie counts ½.

    The interval is a percentile bootstrap that redraws both groups; n is the smaller group.
    """
    x, y = _table(scores_x), _table(scores_y)
    if x.shape[1] != y.shape[1]:
        raise ShapeError(f"scores of {x.shape[1]} and of {y.shape[1]} tasks: expected the same tasks")
    return _interval((x, y), _above, confidence, resamples, seed)


def get_interval_estimates(
    scores: ArrayLike,
    statistic: Callable[..., float],
    *,
    confidence: float = 0.95,
    resamples: int = 9999,
    seed: int = 0,
) -> Interval:
    """Return a statistic of scores (N, M) with its stratified percentile bootstrap interval over runs.

    Example:
        >>> got = get_interval_estimates([[0.2, 0.9], [0.4, 0.7], [0.3, 0.8]], aggregate_iqm)
        >>> round(got.value, 3), got.n, got.low < got.value < got.high
        (0.55, 3, True)
    """
    return _interval((_table(scores),), statistic, confidence, resamples, seed)


def create_performance_profile(scores: ArrayLike, taus: Sequence[float]) -> list[float]:
    """Return, for each threshold τ, the share of all runs whose score is above it."""
    table = _table(scores)
    return [float(np.mean(table > tau)) for tau in taus]


def _table(scores: ArrayLike) -> np.ndarray:
    table = np.asarray(scores, dtype=np.float64)
    table = table[:, None] if table.ndim == 1 else table
    if table.ndim != 2:
        raise ShapeError(f"scores of shape {table.shape}: expected (runs, tasks) or (runs,)")
    return table


def _above(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.mean(np.sign(x[:, None] - y[None, :]) + 1) / 2)


def _interval(
    groups: Sequence[np.ndarray],
    statistic: Callable[..., float],
    confidence: float,
    resamples: int,
    seed: int,
) -> Interval:
    n = min(len(group) for group in groups)
    value = float(statistic(*groups)) if n else math.nan
    if n < 2:
        return Interval(value, None, None, n)
    tasks = groups[0].shape[1]

    def of_columns(*columns: np.ndarray) -> float:
        return statistic(*(np.stack(columns[k : k + tasks], axis=-1) for k in range(0, len(columns), tasks)))

    strata = tuple(column for group in groups for column in group.T)
    low, high = resampled(strata, of_columns, "percentile", confidence, resamples, seed)
    return Interval(value, low, high, n)
