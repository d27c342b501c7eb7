"""fig1b, fig1c, fig2b, fig2c: mean batch accuracy of one cell at every length, beside what was claimed."""

from __future__ import annotations

from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from memspan.report.figures.style import (
    CELL_COLOURS,
    CELL_MARKERS,
    CELL_NAMES,
    CLAIMED,
    INK,
    LENGTH_LABEL,
    PAPER,
    accuracy_axis,
    label_chance,
    seeds_note,
    styled,
)
from memspan.report.records import Records, ended, metric, values, where
from memspan.statistics import Interval, bootstrap_interval

SPANS = {"mean_all": "over all steps", "mean_last_1000": "over the final 1000 steps"}


@dataclass(frozen=True)
class Claimed:
    """A region of lengths and accuracies in which the report says the points lie."""

    lengths: tuple[int, int]
    accuracy: tuple[float, float]
    words: str


CLAIMED_REGIONS = {
    "rnn": (
        Claimed((5, 25), (0.9, 1.0), "the report:\nat least 90%"),
        Claimed((30, 100), (0.0, 0.3), "the report: never above 30%"),
    ),
    "lstm": (
        Claimed((5, 50), (0.9, 1.0), "the report:\nat least 90%"),
        Claimed((75, 100), (0.0, 0.9), "the report: not memorised"),
    ),
}


def last_steps(records: Records) -> str:
    """Say which steps *last* means for these runs: the final 1000, or a fifth of a smaller budget."""
    windows = {
        int(r.metrics["last_window"])
        for r in records
        if r.status == "finished" and "last_window" in r.metrics
    }
    return f"over the final {min(windows)} steps" if len(windows) == 1 else SPANS["mean_last_1000"]


@styled
def draw_means(records: Records, cell: str, name: str) -> Figure:
    """Draw a number of every seed, and its mean over seeds with a 95% bootstrap interval, per length.

    Args:
        records: the study's runs.
        cell: whose.
        name: ``"mean_all"`` or ``"mean_last_1000"``.
    """
    runs = ended(where(records, cell=cell))
    figure = Figure(figsize=(6.2, 3.7), layout="constrained")
    axes = figure.add_subplot()
    if name == "mean_last_1000":
        _draw_claimed(axes, cell, values(runs, "length"))
    counts = draw_lengths(axes, runs, cell, name, seeds=True)
    span = last_steps(runs) if name == "mean_last_1000" else SPANS[name]
    length_axis(axes, runs)
    accuracy_axis(axes, f"Mean batch accuracy\n{span}")
    label_chance(axes)
    axes.set_title(f"{CELL_NAMES[cell]}, {span}; {seeds_note(counts)}")
    return figure


def draw_lengths(
    axes: Axes, runs: Records, cell: str, name: str, *, seeds: bool, shift: float = 0.0
) -> list[int]:
    """Draw one cell's numbers against length; return how many seeds each length has."""
    colour, marker = CELL_COLOURS[cell], CELL_MARKERS[cell]
    at, estimates = [], []
    longest = max(values(runs, "length"), default=0)
    for length in values(runs, "length"):
        numbers = list(metric(where(runs, length=length), name).values())
        if not numbers:
            continue
        if seeds and len(numbers) > 1:
            beside = [length + 0.012 * longest] * len(numbers)
            axes.plot(
                beside, numbers, ".", color=colour, alpha=0.4, markersize=4.5, markeredgewidth=0, zorder=2
            )
        at.append(length + shift * longest)
        estimates.append(bootstrap_interval(numbers))
    axes.plot(at, [e.value for e in estimates], color=colour, linewidth=1.1, alpha=0.55, zorder=2.5)
    _draw_intervals(axes, at, estimates, colour, marker, CELL_NAMES[cell])
    return [e.n for e in estimates]


def _draw_intervals(
    axes: Axes, at: list[float], estimates: list[Interval], colour: str, marker: str, label: str
) -> None:
    for x, e in zip(at, estimates, strict=True):
        if e.low is not None and e.high is not None:
            axes.plot([x, x], [e.low, e.high], color=colour, linewidth=2.2, alpha=0.8, zorder=3)
    means = [e.value for e in estimates]
    axes.plot(at, means, marker, color=colour, markersize=5.5, markeredgecolor=PAPER, label=label, zorder=4)


def length_axis(axes: Axes, runs: Records) -> None:
    """Scale the axis of lengths truly, from 0 to past the longest, with a tick at every length there is."""
    lengths = values(runs, "length")
    axes.set_xlim(0, max(lengths) * 1.05)
    axes.set_xticks(lengths)
    axes.tick_params(axis="x", labelsize=8)
    axes.set_xlabel(LENGTH_LABEL)


def _draw_claimed(axes: Axes, cell: str, lengths: list[int]) -> None:
    """Shade where the report says the points lie, as far as the lengths at hand go."""
    for region in CLAIMED_REGIONS[cell]:
        inside = [T for T in lengths if region.lengths[0] <= T <= region.lengths[1]]
        if not inside:
            continue
        (low, high), right = region.accuracy, max(inside) + 1.5
        corner = (min(inside) - 1.5, low)
        axes.add_patch(Rectangle(corner, right - corner[0], high - low, color=CLAIMED, linewidth=0, zorder=1))
        if high == 1.0:
            axes.text(corner[0], low - 0.015, region.words, color=INK, fontsize=7.5, va="top")
        else:
            axes.text(right - 0.3, high - 0.02, region.words, color=INK, fontsize=7.5, va="top", ha="right")
