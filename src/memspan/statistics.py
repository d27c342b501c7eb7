"""Numbers from runs, and intervals for them: the definitions of *reached*, *kept*, *dip*, and the estimates.

``summarise`` turns the full-resolution curves of one run into the numbers every claim rests on, so
thinned and imported runs serve all claims. The rest turns numbers of several runs into estimates.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

LAST, RUN = 1000, 5000
"""The report averages the last 1000 steps of 5000; a shorter run uses the same share of its steps."""
PEAK = 100
DIP_WINDOW, DIP_DEPTH, DIP_RECOVERED = 50, 0.20, 0.05


@dataclass(frozen=True)
class Interval:
    """An estimate with its interval; low and high are None where n is too small to have one."""

    value: float
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True)
class Dip:
    """One sudden drop: where it began (index of the step), how many steps it took, how deep it went."""

    start: int
    length: int
    depth: float


def summarise(
    *,
    batch_accuracy: np.ndarray,
    accuracy: np.ndarray,
    every: int,
    gradient_norm: np.ndarray,
    clip: float,
    solved_at: float,
    final_accuracy: float,
) -> dict[str, float]:
    """Return the numbers of one run; a number that does not exist has no key, and none is NaN.

    Args:
        batch_accuracy: (steps,) accuracy on the training batch of update 1 … steps, before the update.
        accuracy: (evaluations,) held-out accuracy after ``every``, 2·``every``, … steps.
        every: steps between two evaluations.
        gradient_norm: (steps,) norm of the gradient before clipping.
        clip: the largest norm allowed, 0 if clipping is off.
        solved_at: accuracy from which the task counts as solved.
        final_accuracy: held-out accuracy at the end, NaN for a run that diverged.

    Returns:
        ``accuracy, solved, reached, reached_step, kept`` from the evaluations (the final one is one
        of them); ``mean_all, mean_last_1000, last_window, peak_100, peak_window`` from the batches;
        ``dips, dip_watched_steps, dip_steps, deepest_dip`` after *reached*; ``clipped_share``.
        ``last_window`` says how many steps *last* means: 1000, or a fifth of a run below 5000 steps;
        ``peak_window`` is 100, or all steps of a shorter run. A curve counts up to its first NaN.
    """
    batches = _finite_prefix(batch_accuracy)
    scores = _finite_prefix(np.append(_finite_prefix(accuracy), final_accuracy))
    steps = np.append(every * np.arange(1, len(accuracy) + 1), len(batch_accuracy))
    numbers = _evaluations(scores, steps, solved_at, final_accuracy)
    numbers |= _averages(batches)
    if "reached_step" in numbers:
        numbers |= _dip_numbers(batches, int(numbers["reached_step"]))
    norms = _finite_prefix(gradient_norm)
    if norms.size:
        numbers["clipped_share"] = float(np.mean(norms > clip)) if clip > 0 else 0.0
    return numbers


def find_dips(batch_accuracy: np.ndarray, after: int) -> list[Dip]:
    """Return the dips after ``after`` steps.

    A dip begins where batch accuracy is more than 0.20 below the median of the 50 batches before it
    (of those there are, if fewer) and ends when accuracy is back within 0.05 of that median.
    """
    dips: list[Dip] = []
    i = max(after, 1)
    while i < len(batch_accuracy):
        usual = float(np.median(batch_accuracy[max(0, i - DIP_WINDOW) : i]))
        if usual - batch_accuracy[i] <= DIP_DEPTH:
            i += 1
            continue
        back = np.flatnonzero(batch_accuracy[i:] >= usual - DIP_RECOVERED)
        end = i + int(back[0]) if back.size else len(batch_accuracy)
        dips.append(Dip(i, end - i, usual - float(np.min(batch_accuracy[i:end]))))
        i = end
    return dips


def _finite_prefix(values: np.ndarray) -> np.ndarray:
    values = np.asarray(values, dtype=np.float64)
    bad = np.flatnonzero(~np.isfinite(values))
    return values[: bad[0]] if bad.size else values


def _evaluations(scores: np.ndarray, steps: np.ndarray, solved_at: float, final: float) -> dict[str, float]:
    numbers = {"solved": float(final >= solved_at)}
    if math.isfinite(final):
        numbers["accuracy"] = float(final)
    good = scores >= solved_at
    numbers["reached"] = float(good.any())
    if good.any():
        first = int(np.argmax(good))
        numbers["reached_step"] = float(steps[first])
        if first + 1 < good.size:
            numbers["kept"] = float(np.mean(good[first + 1 :]))
    return numbers


def _averages(batches: np.ndarray) -> dict[str, float]:
    if not batches.size:
        return {}
    last = max(1, min(LAST, batches.size * LAST // RUN))
    window = min(PEAK, batches.size)
    means = np.convolve(batches, np.full(window, 1 / window), mode="valid")
    return {
        "mean_all": _exact(batches.mean()),
        "mean_last_1000": _exact(batches[-last:].mean()),
        "last_window": float(last),
        "peak_100": _exact(means.max()),
        "peak_window": float(window),
    }


def _exact(value: float) -> float:
    """Undo the rounding of a long sum: means are compared with 0.90 and 0.30, which they can equal."""
    return round(float(value), 9)


def _dip_numbers(batches: np.ndarray, reached: int) -> dict[str, float]:
    dips = find_dips(batches, reached)
    return {
        "dips": float(len(dips)),
        "dip_watched_steps": float(max(0, batches.size - reached)),
        "dip_steps": float(sum(dip.length for dip in dips)),
        "deepest_dip": max((dip.depth for dip in dips), default=0.0),
    }


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


def iqm(values: Sequence[float] | np.ndarray) -> float:
    """Return the mean of the middle half of the values, cut at both quarters."""
    from scipy.stats import trim_mean

    return float(trim_mean(np.asarray(values, dtype=np.float64), 0.25))


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
    low, high = _resampled((data,), statistic, "BCa", confidence, resamples, seed)
    if not (math.isfinite(low) and math.isfinite(high)):
        low, high = _resampled((data,), statistic, "percentile", confidence, resamples, seed)
    return Interval(value, low, high, data.size)


def paired_difference(a: Mapping[int, float], b: Mapping[int, float]) -> Interval:
    """Return the mean of a − b over the seeds both have, with its bootstrap interval over seeds."""
    seeds = sorted(a.keys() & b.keys())
    if not seeds:
        return Interval(math.nan, None, None, 0)
    return bootstrap_interval([a[seed] - b[seed] for seed in seeds])


def probability_of_improvement(
    a: Sequence[float] | np.ndarray,
    b: Sequence[float] | np.ndarray,
    *,
    confidence: float = 0.95,
    resamples: int = 1999,
    seed: int = 0,
) -> Interval:
    """Return how likely a run of ``a`` is above a run of ``b``; a tie counts ½.

    The interval is a percentile bootstrap that redraws both groups; n is the smaller group.
    """
    x, y = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    n = min(x.size, y.size)
    value = _above(x, y) if n else math.nan
    if n < 2:
        return Interval(value, None, None, n)
    low, high = _resampled((x, y), _above, "percentile", confidence, resamples, seed)
    return Interval(value, low, high, n)


def _above(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.mean(np.sign(x[:, None] - y[None, :]) + 1) / 2)


def _resampled(
    data: tuple[np.ndarray, ...],
    statistic: Callable[..., float],
    method: str,
    confidence: float,
    resamples: int,
    seed: int,
) -> tuple[float, float]:
    import warnings

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


@dataclass(frozen=True)
class Survival:
    """Share of runs not yet there at each step (Kaplan–Meier), and the step by which half are (or None)."""

    step: np.ndarray
    share: np.ndarray
    median: float | None


def survival(steps: Sequence[float], censored: Sequence[bool]) -> Survival:
    """Return the Kaplan–Meier estimate of times; a censored one says only "later than this"."""
    from scipy.stats import CensoredData, ecdf

    result = ecdf(CensoredData.right_censored(np.asarray(steps, float), np.asarray(censored, bool))).sf
    half = np.flatnonzero(result.probabilities <= 0.5)
    median = float(result.quantiles[half[0]]) if half.size else None
    return Survival(result.quantiles, result.probabilities, median)


def log_rank(
    steps_a: Sequence[float], censored_a: Sequence[bool], steps_b: Sequence[float], censored_b: Sequence[bool]
) -> tuple[float, float]:
    """Return the log-rank statistic z of a against b and its two-sided p-value, times right-censored."""
    from scipy.stats import CensoredData, logrank

    pairs = ((steps_a, censored_a), (steps_b, censored_b))
    a, b = (CensoredData.right_censored(np.asarray(s, float), np.asarray(c, bool)) for s, c in pairs)
    result = logrank(a, b)
    return float(result.statistic), float(result.pvalue)
