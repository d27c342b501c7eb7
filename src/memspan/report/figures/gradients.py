"""fig-gradients, fig-products, fig-reach, fig-variants: gradients through trained networks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from memspan.ledger import RunRecord
from memspan.report.figures.panel import Panel
from memspan.report.figures.style import (
    CELL_COLOURS,
    CELL_NAMES,
    INK,
    MUTED,
    THIRD,
    seeds_note,
    styled,
)
from memspan.report.records import Records, series, where

LENGTH = 100
WHEN = {"before": "before training", "after": "after training"}
LEARNED = "LSTM that learns"
FLOAT32 = 2.0**-24
FLOOR, CEILING = 1e-16, 1e12


def groups(records: Records, length: int = LENGTH) -> dict[str, list[RunRecord]]:
    """Return name → runs: the report's RNN and LSTM, and the LSTM that learns this length."""
    runs = where(records, length=length)
    named = {CELL_NAMES[cell]: where(runs, cell=cell, bias="zero") for cell in CELL_COLOURS}
    named[LEARNED] = where(runs, cell="lstm", bias="chrono")
    return {name: group for name, group in named.items() if group}


COLOURS = {CELL_NAMES[cell]: colour for cell, colour in CELL_COLOURS.items()} | {LEARNED: THIRD}


@styled
def draw_gradients(records: Records) -> Figure:
    """Draw ‖∂L/∂h_t‖ and ‖∂L/∂c_t‖ against t, before and after training, T = 100."""
    figure, both = _pair(9.2)
    for when, axes in zip(WHEN, both, strict=True):
        for name, runs in groups(records).items():
            for state in ("h", "c"):
                curves = [series(r, f"{when}_{state}") for r in runs if f"{when}_{state}" in r.metrics]
                if curves:
                    label = f"{name}, ∂L/∂{state}"
                    output = state == "h" and runs[0].config["cell"] != "rnn"
                    _plot(axes, series(runs[0], "step"), curves, COLOURS[name], label, dotted=output)
    _log_axes(both, WHEN.values())
    both[0].set_ylabel("‖∂L/∂state‖, mean over sequences")
    _legend(figure, both[1])
    return figure


@styled
def draw_products(records: Records) -> Figure:
    """Draw the largest and the median singular value of ∂s_T/∂s_t and the largest's bound, T = 100."""
    figure, both = _pair(9.2)
    for when, axes in zip(WHEN, both, strict=True):
        for name, runs in groups(records).items():
            steps, colour = series(runs[0], "step"), COLOURS[name]
            largest = [series(r, f"{when}_largest") for r in runs]
            median = [series(r, f"{when}_median") for r in runs]
            bound = [series(r, f"{when}_bound") for r in runs]
            _plot(axes, steps, largest, colour, f"{name}, largest")
            _plot(axes, steps, median, colour, f"{name}, median", dotted=True)
            axes.plot(steps, _middle(bound), color=colour, linewidth=0.8, alpha=0.5, label=f"{name}, bound")
    _log_axes(both, WHEN.values())
    both[0].set_ylabel(r"Singular value of $\partial s_T/\partial s_t$")
    _legend(figure, both[1])
    return figure


@styled
def draw_reach(records: Records) -> Figure:
    """Draw each step's share of dL/dW_hh relative to the largest, after training, at three lengths."""
    lengths = sorted({int(r.config["length"]) for r in records})
    figure = Figure(figsize=(9.2, 3.1), layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, len(lengths), sharey=True))
    for axes, length in zip(panels, lengths, strict=True):
        for name, runs in groups(records, length).items():
            shares = [np.array(series(r, "after_contribution"))[1:] for r in runs]  # the first adds nothing
            curves = [share / share.max() for share in shares]
            _plot(axes, series(runs[0], "step")[1:], curves, COLOURS[name], name)
        axes.axhline(FLOAT32, color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
    _log_axes(panels, [f"T = {length}" for length in lengths])
    panels[0].set_ylabel("Share of $dL/dW_{hh}$, largest = 1")
    panels[0].annotate("what float32 sees", (0, FLOAT32), (4, 3), xycoords=("axes fraction", "data"),
                       textcoords="offset points", fontsize=7.5, color=MUTED)  # fmt: skip
    _legend(figure, panels[-1])
    return figure


@styled
def draw_variants(records: Records) -> Figure:
    """Draw the held-out accuracy of every seed for the LSTM and for those with one gate changed."""
    names = sorted({r.config["cell"] for r in records}, key=lambda name: (name != "lstm", name))
    figure = Figure(figsize=(6.2, 3.3), layout="constrained")
    axes = figure.add_subplot()
    counts = []
    for row, name in enumerate(names):
        numbers = [r.metrics.get("accuracy", 0.0) for r in where(records, cell=name)]
        counts.append(len(numbers))
        axes.plot(numbers, row + np.linspace(-0.18, 0.18, len(numbers)), "o", color=CELL_COLOURS["lstm"],
                  alpha=0.75, markersize=5, markeredgewidth=0)  # fmt: skip
    axes.set_yticks(range(len(names)), [_variant_name(name) for name in names])
    axes.invert_yaxis()
    axes.set_xlim(-0.02, 1.04)
    axes.axvline(0.1, color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
    axes.set_xlabel("Held-out accuracy at the end; dashed: chance")
    axes.set_title(f"LSTM, T = 20, forget bias 1; {seeds_note(counts).replace('length', 'row')}")
    return figure


def _variant_name(cell: str) -> str:
    if cell == "lstm":
        return "LSTM as it is"
    kind, gate = cell.rpartition(":")[2].split("_")
    return f"{gate} held at 1" if kind == "held" else f"{gate} a {'ReLU' if kind == 'relu' else kind}"


def draw_curves_of(curves: Mapping[str, Any], states: Sequence[str]) -> Figure:
    """Draw what ``memspan.probes.gradients.measure`` found of one specimen: gradients, products, shares."""
    return _draw_one(curves, states)


@styled
def _draw_one(curves: Mapping[str, Any], states: Sequence[str]) -> Figure:
    figure = Figure(figsize=(9.2, 3.2), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    for state, colour in zip(states, (*CELL_COLOURS.values(), THIRD, MUTED), strict=False):
        _plot(left, curves["step"], [curves[state]], colour, f"‖∂L/∂{state}_t‖")
    for name in ("largest", "median", "bound"):
        _plot(middle, curves["step"], [curves[name]], CELL_COLOURS["lstm"], name, dotted=name != "largest")
    _plot(right, curves["step"], [curves["contribution"]], CELL_COLOURS["lstm"], "")
    titles = ("Gradient of the state", "Singular values of ∂s_T/∂s_t", "Share of dL/dW_hh")
    for axes, title in zip((left, middle, right), titles, strict=True):
        _log_axes([axes], [title])
    left.legend()
    middle.legend()
    return figure


def _pair(width: float) -> tuple[Figure, Sequence[Axes]]:
    figure = Figure(figsize=(width, 3.4), layout="constrained")
    return figure, figure.subplots(1, 2, sharey=True)


def _plot(
    axes: Axes, steps: Sequence[int], curves: Sequence[Any], colour: str, label: str, *, dotted: bool = False
) -> None:
    """Draw every seed thinly and their median, numbers below the floor at the floor."""
    drawn = [np.maximum(np.asarray(curve, float), FLOOR) for curve in curves]
    for curve in drawn if len(drawn) > 1 else ():
        axes.plot(steps, curve, color=colour, linewidth=0.5, alpha=0.3)
    style = (0, (2, 1.5)) if dotted else "-"
    axes.plot(steps, _middle(drawn), color=colour, linewidth=1.7, linestyle=style, label=label)


def _middle(curves: Sequence[Any]) -> np.ndarray:
    return np.exp(np.median(np.log(np.maximum(np.asarray(curves, float), 1e-300)), axis=0))


def _log_axes(panels: Iterable[Axes], titles: Iterable[str]) -> None:
    """Scale panels alike, from the smallest number in any of them, the floor at least, to the largest."""
    every = list(panels)
    low = max(FLOOR, min(axes.dataLim.ymin for axes in every))
    high = min(CEILING, max(axes.dataLim.ymax for axes in every))
    for axes, title in zip(every, titles, strict=True):
        axes.set_yscale("log")
        axes.set_ylim(low / 3, 3 * high)
        axes.set_xlabel("Step t")
        axes.set_title(title)


def _legend(figure: Figure, axes: Axes) -> None:
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right center", fontsize=8, labelcolor=INK)


_HOW = " Lines are medians over seeds, thin lines single seeds."
PANELS = (
    Panel(
        "fig-gradients",
        "How strong a gradient arrives at each step",
        "Two panels, before and after training, of the norm of the loss's gradient for each state"
        " against the step, on a logarithmic axis, for the RNN, the report's LSTM and one that learns."
        + _HOW,
        draw_gradients,
        ("c17",),
        probe="gradients",
    ),
    Panel(
        "fig-products",
        "Singular values of the product of Jacobians",
        "Two panels, before and after training, of the largest and the median singular value of the Jacobian"
        " from each step to the last, and of the product of norms that bounds the largest." + _HOW,
        draw_products,
        ("c17",),
        probe="gradients",
    ),
    Panel(
        "fig-reach",
        "What each step adds to the gradient of W_hh",
        "Three panels, T = 10, 30 and 100: each step's share of the gradient, the largest as 1, against the"
        " step; a dashed line marks what float32 can still see." + _HOW,
        draw_reach,
        ("c35",),
        probe="gradients",
    ),
    Panel(
        "fig-variants",
        "The LSTM with one gate changed",
        "A row of points for the LSTM and each variant, a point a seed, of held-out accuracy at the end.",
        draw_variants,
        ("c34",),
    ),
)
