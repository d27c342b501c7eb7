"""Estimates over seeds, each with its interval and its n. scipy is imported on use."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np


@dataclass(frozen=True)
class Interval:
    """An estimate with its interval; low and high are None where n is too small to have one."""

    value: float
    low: float | None
    high: float | None
    n: int


def wilson(successes: int, n: int, confidence: float = 0.95) -> Interval:
    """Return the share of successes with its Wilson score interval; n = 0 knows nothing: [0, 1]."""
    if not 0 <= successes <= n:
        raise ValueError(f"{successes} successes of {n}: expected 0 ≤ successes ≤ n")
    if n == 0:
        return Interval(math.nan, 0.0, 1.0, 0)
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    low = 0.0 if successes == 0 else centre - half
    return Interval(share, low, 1.0 if successes == n else centre + half, n)


def bootstrap_interval(
    values: Sequence[float] | np.ndarray,
    statistic: Callable[..., float] = np.mean,
    *,
    confidence: float = 0.95,
    resamples: int = 9999,
    seed: int = 0,
) -> Interval:
    """Return a statistic of the values with its bootstrap interval (BCa; percentile where BCa is undefined).

    One value has no interval; equal values have one of width 0.
    """
    data = np.asarray(values, dtype=np.float64)
    value = float(statistic(data))
    if data.size < 2:
        return Interval(value, None, None, data.size)
    if np.ptp(data) == 0:
        return Interval(value, value, value, data.size)
    low, high = resampled((data,), statistic, "BCa", confidence, resamples, seed)
    if not (math.isfinite(low) and math.isfinite(high)):
        low, high = resampled((data,), statistic, "percentile", confidence, resamples, seed)
    return Interval(value, low, high, data.size)


def paired_difference(a: Mapping[int, float], b: Mapping[int, float]) -> Interval:
    """Return the mean of a − b over the seeds both have, with its bootstrap interval over seeds."""
    seeds = sorted(a.keys() & b.keys())
    if not seeds:
        return Interval(math.nan, None, None, 0)
    return bootstrap_interval([a[seed] - b[seed] for seed in seeds])


def resampled(
    data: tuple[np.ndarray, ...],
    statistic: Callable[..., float],
    method: str,
    confidence: float,
    resamples: int,
    seed: int,
) -> tuple[float, float]:
    """Return the bootstrap interval of a statistic of one or several samples, each redrawn by itself."""
    from scipy.stats import bootstrap

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = bootstrap(
            data,
            statistic,
            vectorized=statistic is np.mean,
            method=method,
            confidence_level=confidence,
            n_resamples=resamples,
            rng=np.random.default_rng(seed),
        )
    return float(result.confidence_interval.low), float(result.confidence_interval.high)
