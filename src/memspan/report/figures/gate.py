"""fig4a–d: the curve of the time gate, and what period, shift and open ratio do to it. No runs are needed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator

from memspan.errors import ArgumentError
from memspan.report.figures.style import CELL_COLOURS, GRID, INK, MUTED, RC, styled

LINE, OTHER = CELL_COLOURS["lstm"], CELL_COLOURS["rnn"]
MOST_CYCLES = 5000
TIME = "Time t"


class Clock(NamedTuple):
    """A time gate's period τ, shift s, open ratio r and leak α."""

    period: float = 15.0
    shift: float = 0.0
    open_ratio: float = 0.4
    leak: float = 0.0

    def __str__(self) -> str:
        told = f"τ = {self.period:g}, s = {self.shift:g}, r = {self.open_ratio:g}, leak {self.leak:g}"
        return told.replace("-", "\N{MINUS SIGN}")


PERIODS = tuple(Clock(period=period) for period in (5.0, 10.0, 15.0, 30.0))
SHIFTS = tuple(Clock(shift=shift) for shift in (0.0, 3.0, 6.0, 9.0))
RATIOS = tuple(Clock(open_ratio=ratio) for ratio in (0.1, 0.4, 0.7, 1.0))
SPAN = (0.0, 60.0)


def corners(clock: Clock, span: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Return times and openness at every corner of the curve over a span, and a little beyond.

    Raises:
        ArgumentError: more cycles than can be drawn.
    """
    period, shift, r, leak = clock
    first, last = (math.floor((t - shift) / period) for t in span)
    if last - first > MOST_CYCLES:
        raise ArgumentError(
            f"{last - first} cycles cannot be drawn; expected at most {MOST_CYCLES}, choose a shorter range"
        )
    begin = shift + period * np.arange(first, last + 1)[:, None]
    time = begin + period * np.array([0, r / 2, r, r, 1, 1])
    return time.ravel(), np.tile([0, 1, 0, leak * r, leak, 0], len(begin))


@styled
def draw_gate(clock: Clock, span: tuple[float, float] = SPAN) -> Figure:
    """Draw k(t) of one gate."""
    figure = Figure(figsize=(7.4, 2.5), layout="constrained")
    axes = figure.add_subplot()
    _draw_curve(axes, clock, span)
    _openness_axis(axes, "Openness k(t)")
    axes.set_xlabel(TIME)
    axes.set_title(str(clock))
    return figure


def write_figure(figure: Figure, file: Path) -> None:
    """Write a figure as its file's suffix says."""
    with mpl.rc_context(RC):
        figure.savefig(file, dpi=160, facecolor="white")


@styled
def draw_explained() -> Figure:
    """Draw phase and openness over two cycles, every part with its name."""
    clock, span = Clock(shift=3.0), (0.0, 34.0)
    figure = Figure(figsize=(7.4, 4.4), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[1, 2.3])
    _draw_phase(above, clock)
    _draw_curve(below, clock, span)
    _draw_leak(below, clock)
    _name_parts(below, clock)
    above.set_title(f"Phase φ = ((t − s) mod τ)/τ, and openness k; {clock}")
    _openness_axis(below, "Openness k(t)", top=1.5)
    below.set_xlabel(TIME)
    below.xaxis.set_major_locator(MultipleLocator(5))
    return figure


@styled
def draw_periods() -> Figure:
    """Draw k(t) of several periods, with the time each stays closed."""
    figure, rows = _rows(PERIODS, "The period τ sets the length of a cycle; s = 0, r = 0.4, leak 0")
    for axes, clock in zip(rows, PERIODS, strict=True):
        _name_row(axes, f"τ = {clock.period:g}")
        closes = clock.open_ratio * clock.period
        _measure(
            axes, closes, clock.period, f"closed for {clock.period - closes:g}", beside=clock.period < 12
        )
    return figure


@styled
def draw_shifts() -> Figure:
    """Draw k(t) of several shifts, each over the unshifted curve."""
    figure, rows = _rows(SHIFTS, "The shift s moves the cycles, and nothing else; τ = 15, r = 0.4, leak 0")
    for axes, clock in zip(rows, SHIFTS, strict=True):
        _name_row(axes, f"s = {clock.shift:g}")
        if clock.shift:
            axes.plot(
                *corners(SHIFTS[0], SPAN), color=MUTED, linewidth=0.9, linestyle=(0, (2, 2)), zorder=1.5
            )
            _measure(axes, 15, 15 + clock.shift, f"{clock.shift:g} later", beside=True)
    return figure


@styled
def draw_ratios() -> Figure:
    """Draw k(t) of several open ratios, with the time each is open."""
    figure, rows = _rows(RATIOS, "The open ratio r sets the open share of a cycle; τ = 15, s = 0, leak 0")
    for axes, clock in zip(rows, RATIOS, strict=True):
        _name_row(axes, f"r = {clock.open_ratio:g}")
        opened = clock.open_ratio * clock.period
        _measure(axes, 15, 15 + opened, f"open for {opened:g} of 15", beside=opened < 10)
    return figure


def _rows(clocks: Sequence[Clock], title: str) -> tuple[Figure, list[Axes]]:
    """Return a figure with a row a gate on one time axis."""
    figure = Figure(figsize=(7.4, 0.6 + 0.95 * len(clocks)), layout="constrained")
    rows = list(figure.subplots(len(clocks), 1, sharex=True, sharey=True))
    for axes, clock in zip(rows, clocks, strict=True):
        _draw_curve(axes, clock, SPAN)
        _openness_axis(axes, "k(t)", top=1.62)
    rows[0].set_title(title)
    rows[-1].set_xlabel(TIME)
    rows[-1].xaxis.set_major_locator(MultipleLocator(5))
    return figure, rows


def _draw_curve(axes: Axes, clock: Clock, span: tuple[float, float]) -> None:
    time, k = corners(clock, span)
    axes.fill_between(time, 0, k, color=LINE, alpha=0.16, linewidth=0)
    axes.plot(time, k, color=LINE, linewidth=1.6, zorder=3)
    axes.set_xlim(*span) if span[1] > span[0] else axes.set_xlim(span[0] - 1, span[1] + 1)


def _openness_axis(axes: Axes, label: str, top: float = 1.08) -> None:
    axes.set_ylim(-0.04, top)
    axes.set_yticks([0, 0.5, 1] if top < 1.6 else [0, 1])
    axes.set_ylabel(label)
    axes.grid(axis="x", color=GRID, linewidth=0.5)


def _name_row(axes: Axes, name: str) -> None:
    axes.text(1.012, 0.31, name, transform=axes.transAxes, fontweight="bold", ha="left", va="center")


def _measure(axes: Axes, start: float, end: float, words: str, *, beside: bool, y: float = 1.2) -> None:
    """Draw a double arrow over a stretch of time, its words above it, or to its right where it is short."""
    arrow = {"arrowstyle": "<->", "color": OTHER, "linewidth": 1.1, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", (end, y), (start, y), arrowprops=arrow)
    at, align = ((end + 0.5, y), "left") if beside else (((start + end) / 2, y + 0.22), "center")
    axes.text(*at, words, color=OTHER, fontsize=8, ha=align, va="center")


def _draw_phase(axes: Axes, clock: Clock) -> None:
    for cycle in range(-1, 3):
        begin = clock.shift + cycle * clock.period
        axes.plot([begin, begin + clock.period], [0, 1], color=INK, linewidth=1.4)
        axes.plot([begin] * 2, [0, 1], color=MUTED, linewidth=0.8, linestyle=(0, (2, 2)))
    axes.set_ylim(-0.04, 1.08)
    axes.set_yticks([0, 0.5, 1])
    axes.set_ylabel("Phase φ")


def _draw_leak(axes: Axes, clock: Clock) -> None:
    """Draw the closed part as a leak would have it, larger than any in use."""
    shown = clock._replace(leak=0.15)
    closes, wraps = shown.shift + shown.open_ratio * shown.period, shown.shift + shown.period
    for cycle in (0, 1):
        ends = np.array([closes, wraps]) + cycle * shown.period
        k = shown.leak * np.array([shown.open_ratio, 1.0])
        axes.plot(ends, k, color=OTHER, linewidth=1.4, linestyle=(0, (4, 2)), zorder=2.5)
    words = "with a leak α: αφ\n(drawn for α = 0.15, in use 0.001)"
    axes.text(closes + shown.period + 0.3, 0.2, words, color=OTHER, fontsize=7.5, va="bottom")


def _name_parts(axes: Axes, clock: Clock) -> None:
    begin, period = clock.shift, clock.period
    peak, closes = begin + clock.open_ratio * period / 2, begin + clock.open_ratio * period
    middle = (closes + begin + period) / 2
    axes.text(begin + 0.75, 0.62, "opening\n2φ/r", color=INK, fontsize=8, ha="right")
    axes.text(closes - 0.75, 0.62, "closing\n2 − 2φ/r", color=INK, fontsize=8)
    axes.text(middle, 0.2, "closed: the state is copied", color=INK, fontsize=8, ha="center", va="bottom")
    axes.plot([peak] * 2, [0, 1], color=MUTED, linewidth=0.8, linestyle=(0, (2, 2)))
    _measure(axes, begin, closes, f"open: rτ = {closes - begin:g}", beside=True, y=1.12)
    _measure(axes, begin, begin + period, f"one cycle: τ = {period:g}", beside=True, y=1.36)
    _measure(axes, 0, begin, "", beside=True, y=1.36)
    axes.text(begin / 2, 1.4, f"s = {begin:g}", color=OTHER, fontsize=8, ha="center", va="bottom")
