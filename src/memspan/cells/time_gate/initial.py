"""Where clocks start: periods, shifts and open ratios of H units, and the parameters they are kept as."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from memspan.cells.time_gate.curve import Values, check_gate
from memspan.errors import ArgumentError

ALWAYS = 40.0
"""The logit that stands for an open ratio of 1: the sigmoid of 40 rounds to 1."""


class Clocks(NamedTuple):
    """Period τ, shift s and open ratio r of every unit, (H,) each."""

    period: np.ndarray
    shift: np.ndarray
    open_ratio: np.ndarray


class Scheme(Protocol):
    """A way to draw clocks."""

    def draw(self, generator: np.random.Generator, hidden: int) -> Clocks:
        """Draw the clocks of H units."""


@dataclass(frozen=True)
class LogUniform:
    """Periods log-uniform on [low, high], shifts uniform on [0, τ), one open ratio or one range of openings.

    Args:
        low, high: shortest and longest period.
        open_ratio: r of every unit; not looked at where there is a window.
        window: shortest and longest opening, uniform between; a unit whose period is shorter is open always.

    Units:
        All but the ratio in the unit of the timestamps.

    Source:
        D. Neil, M. Pfeiffer & S.-C. Liu (2016), "Phased LSTM"; windows are ours.
    """

    low: float = 1.0
    high: float = 1000.0
    open_ratio: float = 0.05
    window: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        check_gate([self.low, self.high, *(self.window or ())], self.open_ratio)
        _check_order("periods", self.low, self.high)
        _check_order("windows", *(self.window or (0.0, 0.0)))

    def draw(self, generator: np.random.Generator, hidden: int) -> Clocks:
        """Draw the clocks of H units."""
        period = log_uniform(generator, self.low, self.high, hidden)
        shift = generator.uniform(0, period)
        return Clocks(period, shift, open_ratios(generator, period, self.open_ratio, self.window))


@dataclass(frozen=True)
class FirstEvent:
    """Every unit's first opening peaks at the first step; periods log-uniform on [low, high].

    A unit with a period beyond the sequence opens once, reads the first event and keeps it. The clock is
    *told* where the event is, so what it then remembers shows the mechanism and is no evidence of learning.

    Args:
        low, high: shortest and longest period.
        window: shortest and longest opening, uniform between; a unit whose period is shorter is open always.
            None: every unit has the same open ratio.
        first: time of the first step.
        open_ratio: r of every unit where there is no window.

    Units:
        All but the ratio in the unit of the timestamps; steps, where times are 0, 1, 2, ….
    """

    low: float = 2.0
    high: float = 4000.0
    window: tuple[float, float] | None = (1.0, 8.0)
    first: float = 0.0
    open_ratio: float = 0.05

    def __post_init__(self) -> None:
        check_gate([self.low, self.high, *(self.window or ())], self.open_ratio, self.first)
        _check_order("periods", self.low, self.high)
        _check_order("windows", *(self.window or (0.0, 0.0)))

    def draw(self, generator: np.random.Generator, hidden: int) -> Clocks:
        """Draw the clocks of H units."""
        period = log_uniform(generator, self.low, self.high, hidden)
        ratio = open_ratios(generator, period, self.open_ratio, self.window)
        return Clocks(period, self.first - ratio * period / 2, ratio)


def open_ratios(
    generator: np.random.Generator, period: np.ndarray, ratio: float, window: tuple[float, float] | None
) -> np.ndarray:
    """Return the open ratio of every unit: one for all, or that of openings uniform on a window."""
    if window is None:
        return np.full(len(period), ratio)
    return np.minimum(generator.uniform(*window, size=len(period)), period) / period


def log_uniform(generator: np.random.Generator, low: float, high: float, size: int) -> np.ndarray:
    """Draw numbers whose logarithm is uniform on [ln low, ln high]."""
    return np.exp(generator.uniform(np.log(low), np.log(high), size=size))


def clock_parameters(period: Values, shift: Values, open_ratio: Values) -> dict[str, np.ndarray]:
    """Return the parameters that stand for clocks: λ = ln τ, s itself, and ρ = ln(r/(1 − r)).

    An open ratio of 1 becomes ρ = 40, whose sigmoid rounds to 1 and hardly moves in training.

    Raises:
        ArgumentError: see ``check_gate``.

    Example:
        >>> {name: value.tolist() for name, value in clock_parameters([1.0], [3.0], [0.5]).items()}
        {'log_period': [0.0], 'shift': [3.0], 'open_logit': [0.0]}
    """
    check_gate(period, open_ratio, shift)
    r = np.asarray(open_ratio, dtype=np.float64)
    with np.errstate(divide="ignore"):
        logit = np.minimum(np.log(r) - np.log1p(-r), ALWAYS)
    return {
        "log_period": np.log(np.asarray(period, dtype=np.float64)),
        "shift": np.asarray(shift, dtype=np.float64),
        "open_logit": logit,
    }


def _check_order(what: str, low: float, high: float) -> None:
    if low > high:
        raise ArgumentError(f"{what} from {low:g} to {high:g}: expected the shortest first")
