"""fig-gates, fig-clock: what gates do after training, how long units keep, and when clocks are open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure

from memspan.cells.time_gate.curve import openness
from memspan.report.figures.panel import Panel
from memspan.report.figures.style import CELL_COLOURS, INK, MUTED, THIRD, styled
from memspan.report.records import Records, series, where

GATES = {"i": THIRD, "f": CELL_COLOURS["lstm"], "o": CELL_COLOURS["rnn"], "z": CELL_COLOURS["lstm"],
         "r": CELL_COLOURS["rnn"], "k": INK}  # fmt: skip
STILL = 1e5
"""Time constants above it are drawn at it."""


@styled
def draw_gates(records: Records) -> Figure:
    """Draw every gate's distribution for one trained LSTM, and the time constants of all."""
    runs = sorted(where(records, cell="lstm"), key=lambda r: (r.config["length"], r.config["bias"]))
    figure = Figure(figsize=(9.2, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    _histograms(left, runs[-1].metrics, "after_")
    left.set_title(f"Gates after training, T = {runs[-1].config['length']}")
    for run, colour in zip(runs, (CELL_COLOURS["rnn"], THIRD, CELL_COLOURS["lstm"]), strict=False):
        label = f"T = {run.config['length']}"
        _constants(right, series(run, "after_time_constants"), colour, f"{label}, after")
        _constants(right, series(run, "before_time_constants"), colour, f"{label}, before", dotted=True)
    right.set_title("Effective time constant of each unit")
    right.legend(fontsize=7.5)
    return figure


@styled
def draw_gates_of(found: Mapping[str, Any]) -> Figure:
    """Draw what ``memspan.probes.gates.measure`` found of one specimen."""
    figure = Figure(figsize=(9.2, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    _histograms(left, found, "")
    left.set_title("Gates")
    if "time_constants" in found:
        _constants(right, found["time_constants"], CELL_COLOURS["lstm"], "")
    right.set_title("Effective time constant of each unit")
    return figure


@styled
def draw_clock(records: Records) -> Figure:
    """Draw when each unit of a trained Phased LSTM is open, before and after training."""
    clocks = {
        words: [series(records[0], f"{when}_{name}") for name in ("period", "shift", "open_ratio")]
        for when, words in (("before", "before training"), ("after", "after training"))
    }
    return draw_raster(clocks, np.arange(records[0].metrics["steps"]))


@styled
def draw_raster(clocks: Mapping[str, Sequence[Sequence[float]]], times: np.ndarray) -> Figure:
    """Draw the openness of units (rows, by period) over time, a panel for each set of clocks."""
    figure = Figure(figsize=(4.6 * len(clocks), 3.6), layout="constrained")
    shades = [(*to_rgb(CELL_COLOURS["lstm"]), alpha) for alpha in (0.0, 1.0)]  # clear where closed
    ramp = LinearSegmentedColormap.from_list("open", shades)
    panels = np.atleast_1d(figure.subplots(1, len(clocks)))
    for axes, (words, clock) in zip(panels, clocks.items(), strict=True):
        k = np.stack([openness(times, *row) for row in zip(*clock, strict=True)])
        edges = (times[0] - 0.5, times[-1] + 0.5, len(k) + 0.5, 0.5)
        axes.imshow(k, aspect="auto", cmap=ramp, vmin=0, vmax=1, extent=edges, interpolation="nearest")
        axes.grid(False)
        axes.set_xlabel("Time t")
        axes.set_title(f"k(t), {words}" if words else "k(t)")
    figure.axes[0].set_ylabel("Unit, by period (short above)")
    return figure


def _histograms(axes: Axes, found: Mapping[str, Any], prefix: str) -> None:
    for name, colour in GATES.items():
        shares = found.get(f"{prefix}{name}_histogram")
        if shares:
            edges = np.linspace(0, 1, len(shares) + 1)
            axes.stairs(shares, edges, color=colour, linewidth=1.6, label=name)
    axes.set_xlabel("Gate’s value")
    axes.set_ylabel("Share of values")
    axes.legend()


def _constants(
    axes: Axes, constants: Sequence[float], colour: str, label: str, *, dotted: bool = False
) -> None:
    share = (np.arange(len(constants)) + 1) / len(constants)
    style = (0, (2, 1.5)) if dotted else "-"
    axes.step(np.minimum(constants, STILL), share, color=colour, linewidth=1.5, linestyle=style, label=label)
    axes.set_xscale("log")
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("Time constant (steps)")
    axes.set_ylabel("Share of units below")
    axes.axvline(1, color=MUTED, linewidth=0.6)


PANELS = (
    Panel(
        "fig-gates",
        "Gates and time constants of trained LSTMs",
        "Left, the distribution of the values of input, forget and output gate after training. Right, the"
        " share of units whose time constant lies below a number of steps, before and after training.",
        draw_gates,
        (),
        probe="gates",
    ),
    Panel(
        "fig-clock",
        "When the units of a Phased LSTM are open",
        "Two panels, before and after training: a row for each unit, short periods above, dark where its gate"
        " is open.",
        draw_clock,
        (),
        probe="clock",
    ),
)
