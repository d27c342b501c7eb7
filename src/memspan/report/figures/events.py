"""What time gates are good for: two sensors, sines, long palindromes, and a planted period."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from memspan.ledger import RunRecord
from memspan.report.claims.events import FOUND, error, score
from memspan.report.figures.panel import Panel
from memspan.report.figures.span import LINES, MARKERS
from memspan.report.figures.style import MUTED, PAPER, styled
from memspan.report.records import Records, ended, values, where
from memspan.statistics import Interval, bootstrap_interval, wilson
from memspan.study import clocks, sensors

PUBLISHED = {
    "standard": {"Phased LSTM": 0.993, "LSTM with t": 0.893},
    "fine": {"Phased LSTM": 0.996, "LSTM with t": 0.517},
    "asynchronous": {"Phased LSTM": 0.979, "LSTM with t": 0.690},
}
"""Means of five seeds in Neil, Pfeiffer & Liu (2016)."""
APART = 0.13
"""Distance between two networks at one place of the axis."""


@styled
def draw_two_sensors(records: Records) -> Figure:
    """Draw how often each network answers for the slow and for the fast sensor, against their ratio."""
    runs = ended(records)
    figure = Figure(figsize=(9.2, 3.6), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    told = (("accuracy_1", "What did the slow sensor say first?"), ("accuracy_2", "and the fast one last?"))
    for axes, (name, title) in zip(panels, told, strict=True):
        places = [{"ratio": ratio} for ratio in values(runs, "ratio")]
        _dots(axes, runs, sensors.ON_SENSORS, places, name)
        axes.set_xticks(range(len(places)), [f"{place['ratio']:,}" for place in places])
        axes.set_xlabel("Fast events for each slow one")
        axes.set_title(title)
        _chance(axes, 0.5)
    panels[0].set_ylabel("Held-out accuracy")
    _legend(figure, panels[0])
    return figure


@styled
def draw_sines(records: Records) -> Figure:
    """Draw every network's accuracy on sines, beside what was published."""
    runs, figure = ended(records), Figure(figsize=(9.2, 3.8), layout="constrained")
    axes, asked = figure.add_subplot(), {(run.config["sampling"], run.config["lr_decay"]) for run in runs}
    rates = {sensors.PAPER.lr_decay: "constant rate", sensors.SETTLED.lr_decay: "falling rate"}
    places = [place for place in product(PUBLISHED, rates) if place in asked]
    shown = [{"sampling": sampling, "lr_decay": decay} for sampling, decay in places]
    _dots(axes, runs, sensors.NETWORKS, shown, "accuracy")
    for x, (sampling, _) in enumerate(places):
        for name, published in PUBLISHED[sampling].items():
            at = _place(x, list(sensors.NETWORKS).index(name), len(sensors.NETWORKS))
            axes.plot(at, published, marker="_", markersize=13, color=MUTED, zorder=2)
    axes.set_xticks(range(len(places)), [f"{sampling},\n{rates[decay]}" for sampling, decay in places])
    axes.set_ylabel("Held-out accuracy")
    _chance(axes, 0.5)
    _legend(figure, axes)
    return figure


@styled
def draw_clocks(records: Records) -> Figure:
    """Draw every network's accuracy on palindromes against their length, clocks told and not told."""
    runs, figure = ended(records), Figure(figsize=(7.4, 4.0), layout="constrained")
    axes, lengths = figure.add_subplot(), values(runs, "length")
    names = {name: _fields(name) for name in clocks.NETWORKS}
    _dots(axes, runs, names, [{"length": length} for length in lengths], "accuracy")
    axes.set_xticks(range(len(lengths)), [f"{length:,}" for length in lengths])
    axes.set_xlabel("Palindrome length T (digits)")
    axes.set_ylabel("Held-out accuracy")
    _chance(axes, 0.1)
    _legend(figure, axes)
    return figure


def _fields(name: str) -> dict[str, Any]:
    """Return the config fields that tell a network of the clocks' experiment from the others."""
    usual = {"bias": "zero", "clock_shift": "uniform", "clock_window_low": 0.0, "time_origin": "zero"}
    given = clocks.NETWORKS[name]
    return {"cell": given["cell"], **{field: given.get(field, value) for field, value in usual.items()}}


@styled
def draw_planted(records: Records) -> Figure:
    """Draw the share of seeds that find a planted period against how far from it they started."""
    runs, figure = ended(records), Figure(figsize=(6.6, 3.6), layout="constrained")
    axes = figure.add_subplot()
    for place, cycles in enumerate(values(runs, "cycles")):
        mine = where(runs, cycles=cycles)
        starts = values(mine, "clock_low")
        found = [_found(where(mine, clock_low=start)) for start in starts]
        away = [100 * (start / runs[0].config["period"] - 1) for start in starts]
        _line(axes, away, found, place, f"N = {cycles} cycles")
    axes.set_xscale("log")
    axes.set_xlabel("δ: the period starts so many percent too long")
    axes.set_ylabel("Share of seeds that find it")
    axes.set_ylim(-0.03, 1.03)
    axes.legend()
    return figure


def _found(runs: Sequence[RunRecord]) -> Interval:
    return wilson(sum(error(run) < FOUND for run in runs), len(runs))


def _line(axes: Axes, x: Sequence[float], points: Sequence[Interval], place: int, label: str) -> None:
    colour = LINES[place]
    low, high = ([getattr(point, end) for point in points] for end in ("low", "high"))
    axes.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
    axes.plot(x, [point.value for point in points], marker=MARKERS[place], color=colour, label=label)


def _dots(
    axes: Axes,
    runs: Records,
    networks: Mapping[str, Mapping[str, Any]],
    places: Sequence[Mapping[str, Any]],
    number: str,
) -> None:
    """Draw a mean with its interval over seeds for every network at every place, the seeds as dots."""
    for x in range(1, len(places), 2):  # what stands at one place is told from its neighbours by its ground
        axes.axvspan(x - 0.5, x + 0.5, color=MUTED, alpha=0.09, linewidth=0, zorder=0)
    axes.set_xlim(-0.5, len(places) - 0.5)
    axes.grid(visible=False, axis="x")
    for k, (name, fields) in enumerate(networks.items()):
        for x, place in enumerate(places):
            found = [score(run, number) for run in where(runs, **fields, **place)]
            if found:
                _dot(axes, _place(x, k, len(networks)), found, k, name)


def _place(x: int, k: int, n: int) -> float:
    return x + APART * (k - (n - 1) / 2)


def _dot(axes: Axes, x: float, found: Sequence[float], k: int, name: str) -> None:
    mean, colour = bootstrap_interval(found), LINES[k]
    axes.plot([x] * len(found), found, ".", color=colour, markersize=3, alpha=0.5)
    if mean.low is not None and mean.high is not None:
        axes.plot([x, x], [mean.low, mean.high], color=colour, linewidth=1.4)
    axes.plot(x, mean.value, MARKERS[k], color=colour, markeredgecolor=PAPER, label=name)


def _chance(axes: Axes, chance: float) -> None:
    axes.axhline(chance, color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1.5)
    axes.set_ylim(0, 1.04)


def _legend(figure: Figure, axes: Axes) -> None:
    """Name every network once, below the axes."""
    handles, labels = axes.get_legend_handles_labels()
    once = dict(zip(labels, handles, strict=True))
    figure.legend(once.values(), once.keys(), loc="outside lower center", ncols=3, fontsize=8)


SEEDS = " a mark is the mean over seeds with its 95% interval, small dots are the seeds; dashed: chance."
PANELS = (
    Panel(
        "fig-two-sensors",
        "Two sensors: the slow one's first word and the fast one's last",
        "Accuracy of six networks on two questions, at one slow event for 10, 100 and 1,000 fast ones;"
        + SEEDS,
        draw_two_sensors,
        ("c19",),
    ),
    Panel(
        "fig-sines",
        "Frequency of sines, sampled three ways",
        "Accuracy of five networks after 70 epochs of 5,000 sequences, 20 where finely sampled; the constant"
        " rate belongs to the published recipe; a short bar is the published mean of the same network, after"
        " 70;" + SEEDS,
        draw_sines,
        ("c19",),
    ),
    Panel(
        "fig-clocks",
        "Long palindromes, with a clock that was told and one that was not",
        "Accuracy of seven networks at each length at the end of 1,500 steps, 750 at 10,000 digits and 1,000"
        " at 100,000, where three of them were asked; the first knows where the first digit is and how long"
        " the sequence, the flagged ones see where it is;" + SEEDS,
        draw_clocks,
        ("c20",),
    ),
    Panel(
        "fig-planted",
        "How near to a planted period one must start",
        "Share of seeds whose period ends within 1% of the planted one, a line for each number of cycles,"
        " with 95% Wilson intervals, against the distance at the start on a logarithmic axis.",
        draw_planted,
        ("c22",),
    ),
)
