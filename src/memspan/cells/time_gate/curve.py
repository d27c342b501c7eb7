"""The curve k(t) of a time gate and its closed forms in numpy, for whoever has no network at hand.

Letters: t time, τ period, s shift, r open ratio, α leak. Everything is computed in float64.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from memspan.errors import ArgumentError

Values = Any
"""A number or anything numpy makes an array of."""


def check_gate(period: Values, open_ratio: Values, shift: Values = 0.0, leak: Values = 0.0) -> None:
    """Refuse a gate that cannot be meant.

    Raises:
        ArgumentError: a period that is not positive, an open ratio outside (0, 1], a leak outside [0, 1],
            or anything infinite or NaN.
    """
    for name, value, fits, expected in (
        ("period", period, lambda v: np.isfinite(v) & (v > 0), "a positive number"),
        ("open ratio", open_ratio, lambda v: (v > 0) & (v <= 1), "above 0 and at most 1"),
        ("shift", shift, np.isfinite, "a finite number"),
        ("leak", leak, lambda v: (v >= 0) & (v <= 1), "0 … 1"),
    ):
        if np.asarray(value).dtype.kind not in "iuf":
            raise ArgumentError(f"{name} {value!r}: expected {expected}")
        given = np.asarray(value, dtype=np.float64)
        if not np.all(fits(given)):
            wrong = given[~fits(given)].flat[0]
            raise ArgumentError(f"{name} {wrong:g}: expected {expected}")


def phase(time: Values, period: Values, shift: Values = 0.0) -> np.ndarray:
    """Return φ = ((t − s) mod τ)/τ in [0, 1), with the floored modulo: it rises with t before s, too.

    Example:
        >>> phase([-1.0, 0.0, 3.0, 15.0], period=15).round(3).tolist()
        [0.933, 0.0, 0.2, 0.0]
    """
    period = np.asarray(period, dtype=np.float64)
    rest = np.mod(np.asarray(time, dtype=np.float64) - shift, period)
    # a negative t − s too small to be seen beside τ leaves a rest of τ
    return np.where(rest < period, rest, rest - period) / period


def openness(
    time: Values, period: Values, shift: Values = 0.0, open_ratio: Values = 0.05, leak: Values = 0.0
) -> np.ndarray:
    """Return k(t), from 0 (closed) to 1 (open).

    Equations:
        k = 2φ/r for φ < r/2; 2 − 2φ/r for r/2 ≤ φ < r; αφ for r ≤ φ

    Raises:
        ArgumentError: see ``check_gate``.

    Example:
        >>> openness([0, 1.5, 3, 4.5, 6, 14], period=15, open_ratio=0.4).round(9).tolist()
        [0.0, 0.5, 1.0, 0.5, 0.0, 0.0]
    """
    check_gate(period, open_ratio, shift, leak)
    phi, r = phase(time, period, shift), np.asarray(open_ratio, dtype=np.float64)
    return np.where(phi < r / 2, 2 * phi / r, np.where(phi < r, 2 - 2 * phi / r, leak * phi))


class Slopes(NamedTuple):
    """dk/dt on each part of a cycle, 1/time."""

    opening: Values
    closing: Values
    closed: Values


def slopes(period: Values, open_ratio: Values, leak: Values = 0.0) -> Slopes:
    """Return dk/dt: 2/(rτ) opening, −2/(rτ) closing, α/τ closed; at a kink, that of the part to its right.

    Example:
        >>> slopes(period=10, open_ratio=0.5)
        Slopes(opening=0.4, closing=-0.4, closed=0.0)
    """
    return Slopes(2 / (open_ratio * period), -2 / (open_ratio * period), leak / period)


def mean_openness(open_ratio: Values, leak: Values = 0.0) -> Values:
    """Return the mean of k over a cycle: r/2, and with a leak α(1 − r²)/2 on top.

    Example:
        >>> mean_openness(0.4)
        0.2
    """
    return open_ratio / 2 + leak * (1 - open_ratio**2) / 2


def open_share(open_ratio: Values) -> Values:
    """Return the share of a cycle in which k > 0 at leak 0: r."""
    return open_ratio


def closed_time(period: Values, open_ratio: Values) -> Values:
    """Return the time a gate stays closed in each cycle, (1 − r)τ.

    Example:
        >>> closed_time(period=10, open_ratio=0.25)
        7.5
    """
    return (1 - open_ratio) * period
