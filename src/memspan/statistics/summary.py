"""The numbers of one run, as the claims define them: *solved*, *reached*, *kept*, means and *dips*."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

LAST, RUN = 1000, 5000
"""The report averages the last 1000 steps of 5000; a shorter run uses the same share of its steps."""
PEAK = 100
DIP_WINDOW, DIP_DEPTH, DIP_RECOVERED = 50, 0.20, 0.05


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
    usual = _usual(batch_accuracy)
    low = np.flatnonzero(usual - batch_accuracy > DIP_DEPTH)
    dips: list[Dip] = []
    end = max(after, 1)
    for start in low[low >= end].tolist():
        if start < end:
            continue
        back = np.flatnonzero(batch_accuracy[start:] >= usual[start] - DIP_RECOVERED)
        end = start + int(back[0]) if back.size else len(batch_accuracy)
        dips.append(Dip(start, end - start, float(usual[start] - np.min(batch_accuracy[start:end]))))
    return dips


def _usual(values: np.ndarray) -> np.ndarray:
    """Return the median of the 50 values before each one; of those there are, if fewer; NaN for the first."""
    head = [np.median(values[:i]) if i else math.nan for i in range(min(DIP_WINDOW, len(values)))]
    if len(values) <= DIP_WINDOW:
        return np.array(head)
    windows = np.lib.stride_tricks.sliding_window_view(values[:-1], DIP_WINDOW)
    return np.concatenate([head, np.median(windows, axis=1)])


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
