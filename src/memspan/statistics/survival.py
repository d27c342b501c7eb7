"""Times that may be censored: how long until a run solved its task, if it did. scipy is imported on use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


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
