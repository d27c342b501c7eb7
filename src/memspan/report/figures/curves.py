"""fig1a, fig2a: batch accuracy against training step, one curve per length."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from memspan.report.figures.style import (
    CELL_NAMES,
    GRID,
    MUTED,
    accuracy_axis,
    length_colours,
    seeds_note,
    styled,
)
from memspan.report.records import Records, batch_accuracy, by_seed, ended, values, where

COLUMNS, SMOOTHED_BINS = 4, 50


@styled
def draw_curves(records: Records, cell: str) -> Figure:
    """Draw all lengths together, then each length by itself with its seeds.

    Args:
        records: the study's runs.
        cell: whose curves.

    Returns:
        a figure: above, the mean over seeds of every length; below, one panel a length with a thin
        line a seed (with one seed: the range of the batches in each bin).
    """
    runs = ended(where(records, cell=cell))
    lengths = values(runs, "length")
    rows = math.ceil(len(lengths) / COLUMNS)
    figure = Figure(figsize=(9, 3.6 + 1.45 * rows), layout="constrained")
    grid = figure.add_gridspec(rows + 1, COLUMNS, height_ratios=[2.1] + [1] * rows)
    above = figure.add_subplot(grid[0, :])
    _draw_overview(above, runs, lengths, cell)
    colours = length_colours(lengths)
    for place, length in enumerate(lengths):
        axes = figure.add_subplot(grid[1 + place // COLUMNS, place % COLUMNS], sharey=above)
        _draw_panel(axes, where(runs, length=length), colours[length])
        _label_outer(axes, place, len(lengths))
    return figure


def _draw_overview(axes: Axes, runs: Records, lengths: list[int], cell: str) -> None:
    counts = []
    colours = length_colours(lengths)
    for length in lengths:
        step, curves = _smoothed(where(runs, length=length))
        axes.plot(step, np.nanmean(curves, axis=0), color=colours[length], linewidth=1.5)
        counts.append(len(curves))
    accuracy_axis(axes, "Batch accuracy")
    axes.set_xlabel("Training step")
    axes.set_xlim(0, max(run.config["steps"] for run in runs))
    axes.set_title(
        f"{CELL_NAMES[cell]}: mean over seeds, one curve per length T; {seeds_note(counts)}", pad=26
    )
    handles = [Line2D([], [], linestyle="none", label="T =")]
    handles += [Line2D([], [], color=colours[T], linewidth=2.5, label=f"{T}") for T in lengths]
    handles.append(Line2D([], [], color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)), label="chance"))
    axes.legend(
        handles=handles,
        ncols=len(handles),
        loc="lower left",
        bbox_to_anchor=(-0.01, 1.0),
        handlelength=1.1,
        columnspacing=1.0,
        handletextpad=0.4,
        borderaxespad=0.1,
    )


def _draw_panel(axes: Axes, runs: Records, colour: str) -> None:
    step, curves = _smoothed(runs)
    if len(curves) == 1:
        curve = batch_accuracy(runs[0])
        axes.fill_between(curve.step, curve.low, curve.high, color=colour, alpha=0.22, linewidth=0)
    else:
        axes.plot(step, curves.T, color=colour, linewidth=0.5, alpha=0.45)
    axes.plot(step, np.nanmean(curves, axis=0), color=colour, linewidth=1.4)
    accuracy_axis(axes, "")
    axes.set_xlim(0, runs[0].config["steps"])
    axes.xaxis.set_major_locator(MaxNLocator(nbins=3, prune="upper"))
    axes.set_title(f"T = {runs[0].config['length']}", pad=3, fontweight="bold", fontsize=8.5)
    axes.grid(color=GRID, linewidth=0.5)


def _label_outer(axes: Axes, place: int, count: int) -> None:
    axes.tick_params(labelsize=7.5, labelleft=place % COLUMNS == 0, labelbottom=place >= count - COLUMNS)
    if place % COLUMNS == 0:
        axes.set_ylabel("Batch accuracy", fontsize=8)
    if place >= count - COLUMNS:
        axes.set_xlabel("Training step", fontsize=8)


def _smoothed(runs: Records) -> tuple[np.ndarray, np.ndarray]:
    """Return steps and (seeds, bins) running means over a fiftieth of the budget; NaN after a run's end."""
    found = [batch_accuracy(run) for run in by_seed(runs).values()]
    step = max((curve.step for curve in found), key=len)
    window = max(1, round(len(step) / SMOOTHED_BINS))
    rows = np.full((len(found), len(step)), np.nan)
    for row, curve in zip(rows, found, strict=True):
        row[: len(curve.mean)] = _running_mean(np.asarray(curve.mean, float), window)
    return step, rows


def _running_mean(line: np.ndarray, window: int) -> np.ndarray:
    """Average over a centred window that shrinks at both ends."""
    total = np.concatenate([[0.0], np.cumsum(line)])
    at = np.arange(len(line))
    low, high = np.maximum(at - window // 2, 0), np.minimum(at + (window + 1) // 2, len(line))
    return (total[high] - total[low]) / (high - low)
