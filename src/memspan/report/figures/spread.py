"""What training makes of clocks: periods and open ratios of gated networks before and after."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from memspan.ledger import RunRecord
from memspan.report.figures.panel import Panel
from memspan.report.figures.style import CELL_COLOURS, MUTED, styled
from memspan.report.records import Records, ended, where

NUMBERS = {"period": "Period τ, in the task's unit of time", "open_ratio": "Open ratio r"}
WHEN = {"start": (0.16, MUTED, "before training"), "end": (-0.16, CELL_COLOURS["lstm"], "after")}
"""When → place beside the line of a case, colour, words."""


@styled
def draw_spread(records: Records) -> Figure:
    """Draw the middle and the 10th and 90th percentile of all units' clocks, averaged over seeds."""
    cases: dict[str, list[RunRecord]] = {}
    for run in where(ended(records), cell="phased_lstm", time_origin="zero", clock_shift="uniform"):
        if "period_p50_end" in run.metrics and not run.config["clock_window_low"]:
            cases.setdefault(_case(run), []).append(run)
    figure = Figure(figsize=(9.2, 1.1 + 0.42 * len(cases)), layout="constrained")
    for axes, (number, label) in zip(figure.subplots(1, 2, sharey=True), NUMBERS.items(), strict=True):
        for y, runs in enumerate(cases.values()):
            _spread(axes, -y, runs, number)
        axes.set_xlabel(label)
        axes.set_xscale("log" if number == "period" else "linear")
        axes.set_yticks([-y for y in range(len(cases))], list(cases))
    handles = axes.get_legend_handles_labels()[0][:2]
    figure.legend(handles, [words for _, _, words in WHEN.values()], loc="outside lower center", ncols=2)
    return figure


def _case(run: RunRecord) -> str:
    config = run.config
    if config["task"] == "two_sensors":
        return f"two sensors, 1 : {config['ratio']:,}"
    if config["task"] == "sines":
        return f"sines, {config['sampling']}"
    return f"palindromes, T = {config['length']:,} not told"


def _spread(axes: Axes, y: float, runs: list[RunRecord], number: str) -> None:
    for when, (aside, colour, words) in WHEN.items():
        low, middle, high = (
            np.mean([run.metrics[f"{number}_p{q}_{when}"] for run in runs]) for q in (10, 50, 90)
        )
        axes.plot([low, high], [y + aside] * 2, color=colour, linewidth=1.6)
        axes.plot(middle, y + aside, "o", color=colour, markersize=5, label=words)


PANELS = (
    Panel(
        "fig-spread",
        "Clocks before and after training",
        "For each task a line from the 10th to the 90th percentile of all units, a dot at their median, grey"
        " before and blue after training; left the periods on a logarithmic axis, right the open ratios."
        " Means over seeds.",
        draw_spread,
        ("c22",),
    ),
)
