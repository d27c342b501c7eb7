"""fig-initialisations, fig-updates, fig-recipes: what the start and the update rule can change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from memspan.report.claims.palindromes import dip_rate
from memspan.report.claims.variations import picked
from memspan.report.figures.panel import Panel
from memspan.report.figures.style import CELL_COLOURS, PAPER, THIRD, seeds_note, styled
from memspan.report.records import Records, ended, where
from memspan.statistics import Interval, bootstrap_interval, wilson
from memspan.study.recipes import PROVED, RECIPES, recipe_runs
from memspan.study.span import told
from memspan.study.variations import DECAYED, INITIALISATIONS, INITIALISED, LEARNERS, RULES, UNCLIPPED

MOST_SEEDS = 20
MARKERS = {"rnn": "s", "lstm": "o"}
Bar = tuple[str, str, Interval]
"""A row of a picture: its words, the cell that gives its colour and marker, its estimate."""


@styled
def draw_initialisations(records: Records) -> Figure:
    """Draw the share of seeds that solve a length, for every start, with 95% Wilson intervals."""
    runs, rows = ended(records), []
    for name, change in INITIALISATIONS.items():
        for length in INITIALISED[change["cell"]]:
            group = where(runs, **picked(length, **change))
            if group:
                solved = sum(run.metrics.get("solved") == 1.0 for run in group)
                rows.append((f"{name}, T = {length}", change["cell"], wilson(solved, len(group))))
    figure = _rows(rows, "Share of seeds that solve within 5000 steps")
    figure.axes[0].set_xlim(-0.03, 1.03)
    return figure


@styled
def draw_updates(records: Records) -> Figure:
    """Draw dips per 1000 steps after *reached*, for every rule, with bootstrap intervals over seeds."""
    runs, rows = ended(records), []
    for name, (base, lengths) in LEARNERS.items():
        for length in lengths:
            for words, change in _rules().items():
                rates = _dip_rates(where(runs, **picked(length, **base, **change)))
                if rates:
                    estimate = bootstrap_interval(rates)
                    rows.append((f"{name}, T = {length}, {words}", base["cell"], estimate))
    return _rows(rows, "Dips per 1000 steps after 0.99 was reached")


@styled
def draw_recipes(records: Records) -> Figure:
    """Draw the share of seeds that solve a length, for every recipe, with 95% Wilson intervals."""
    runs, rows = ended(records), []
    for name, lengths in PROVED.items():
        for length, steps in lengths.items():
            recipe = RECIPES[name]
            wanted = {run.id for run in recipe_runs(name, length, range(MOST_SEEDS))}
            group = [run for run in runs if run.id in wanted]
            if group:
                solved = sum(run.metrics.get("solved") == 1.0 for run in group)
                words = f"{name}, T = {length}, {steps} steps (told {told(recipe)})"
                rows.append((words, recipe.cell, wilson(solved, len(group))))
    figure = _rows(rows, "Share of seeds that solve")
    figure.axes[0].set_xlim(-0.03, 1.03)
    return figure


def _rules() -> dict[str, Mapping[str, Any]]:
    constant = dict(RULES)
    decayed = {f"{name}, decayed": {**rule, **DECAYED} for name, rule in RULES.items()}
    return constant | decayed | {"RMSProp, not clipped": UNCLIPPED}


def _dip_rates(runs: Records) -> list[float]:
    return [rate for run in runs if (rate := dip_rate(run)) is not None]


def _rows(rows: Sequence[Bar], label: str) -> Figure:
    figure = Figure(figsize=(7.2, 0.9 + 0.21 * max(4, len(rows))), layout="constrained")
    axes = figure.add_subplot()
    for place, (_, cell, estimate) in enumerate(rows):
        _draw(axes, place, cell, estimate)
    axes.set_yticks(range(len(rows)), [name for name, _, _ in rows], fontsize=8)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlabel(label)
    axes.set_title(seeds_note([estimate.n for _, _, estimate in rows]).replace(" per length", " in a row"))
    return figure


def _draw(axes: Axes, place: int, cell: str, estimate: Interval) -> None:
    colour = CELL_COLOURS.get(cell, THIRD)
    if estimate.low is not None and estimate.high is not None:
        axes.plot([estimate.low, estimate.high], [place] * 2, color=colour, linewidth=2.2, alpha=0.8)
    axes.plot([estimate.value], [place], MARKERS[cell], color=colour, markersize=6, markeredgecolor=PAPER)


PANELS = (
    Panel(
        "fig-initialisations",
        "Initialisation decides what is remembered",
        "Rows of points, one for each start and length: the share of seeds that solve, from 0 to 1, with"
        " intervals; squares for the vanilla RNN and circles for the LSTM.",
        draw_initialisations,
        ("c13",),
    ),
    Panel(
        "fig-recipes",
        "Recipes that remember longer than the report's",
        "Rows of points, one for each recipe and length: the share of seeds that solve, from 0 to 1, with"
        " intervals; squares for the vanilla RNN and circles for the LSTM.",
        draw_recipes,
        ("c05", "c13"),
    ),
    Panel(
        "fig-updates",
        "Sudden drops under three update rules",
        "Rows of points, one for each cell, length and rule: dips per 1000 steps after 0.99 was reached, with"
        " intervals; squares for the vanilla RNN and circles for the LSTM.",
        draw_updates,
        ("c06", "c07"),
    ),
)
