"""fig-copy, fig-slope, fig-sparse: what a closed gate keeps, what its slopes are for, and what it saves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from memspan.ledger import Measurement
from memspan.report.claims.saving import PASSES, times
from memspan.report.figures.panel import Panel
from memspan.report.figures.style import CELL_COLOURS, INK, MUTED, styled

SIZE = (6.2, 3.5)
GATE, OTHER = CELL_COLOURS["lstm"], CELL_COLOURS["rnn"]
DOTTED = (0, (3, 2))


@styled
def draw_copy(measurements: Sequence[Measurement]) -> Figure:
    """Draw what is left of a state against the steps since its gate closed, and of an LSTM's context."""
    found = measurements[-1].values
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.add_subplot()
    for leak, left in zip(found["leak"], found["left"], strict=True):
        axes.plot(found["step"], left, color=GATE, linewidth=1.7)
        _name(axes, found["step"], left, f"leak {leak:g}", 0.28)
    for forget, left in zip(found["forgets"], found["lstm_left"], strict=True):
        axes.plot(found["step"], left, color=OTHER, linewidth=1.4, linestyle=DOTTED)
        _name(axes, found["step"], left, f"LSTM, f = {1 - forget:g}", 0.1)
    axes.set_xlim(0, found["step"][-1])
    axes.set_ylim(0, 1.08)
    axes.set_xlabel("Steps since the gate closed")
    axes.set_ylabel("Share of the state that is left")
    axes.set_title("A closed gate copies at leak 0 only; dotted: an LSTM that writes nothing")
    return figure


def _name(axes: Axes, step: Sequence[float], left: Sequence[float], words: str, height: float) -> None:
    """Write a curve's name beside it, where it has fallen to a height, or above its end."""
    below = np.flatnonzero(np.array(left) < height)
    at = below[0] if below.size else len(step) * 3 // 4
    axes.annotate(words, (step[at], left[at]), (4, 4), textcoords="offset points", color=INK, fontsize=8)


@styled
def draw_slope(measurements: Sequence[Measurement]) -> Figure:
    """Draw how far a period is off while it is learned, with either slope."""
    found = measurements[-1].values
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.add_subplot()
    for name, colour, style in (("said_curve", OTHER, DOTTED), ("true_curve", GATE, "-")):
        for curve in found[name]:
            axes.plot(found["step"], curve, color=colour, linewidth=1.1, linestyle=style)
    axes.axhline(1e-3, color=MUTED, linewidth=0.9)
    axes.text(found["step"][-1], 1.06e-3, "found", color=MUTED, fontsize=8, ha="right", va="bottom")
    for name, words in (("said_curve", "slope 1 everywhere"), ("true_curve", "the gate's slopes")):
        worst = max(curve[-1] for curve in found[name])
        axes.annotate(words, (found["step"][-1], worst), (0, 5), textcoords="offset points", ha="right",
                      color=INK, fontsize=8)  # fmt: skip
    axes.set_yscale("log")
    axes.set_xlim(0, found["step"][-1])
    axes.set_xlabel("Training step")
    axes.set_ylabel("Error of the period |τ/τ* − 1|")
    axes.set_title("A planted period, learned from 1% off; one line a seed")
    return figure


LINES = {
    "open units only": ("o-", GATE, "open units only"),
    "all units": ("s--", MUTED, "all units, gated"),
    "no gate": ("-", OTHER, "LSTM without a gate"),
    "torch loop": ("^", INK, "plain torch loop, gated"),
}
"""Side of the benchmark → how it is drawn, and its name."""


@styled
def draw_sparse(measurements: Sequence[Measurement]) -> Figure:
    """Draw the time of a step against the share of open units, in training and forward."""
    timed = times(measurements)
    figure = Figure(figsize=(7.4, 3.5), layout="constrained")
    for axes, what in zip(figure.subplots(1, 2, sharey=True), PASSES, strict=True):
        for side, (mark, colour, name) in LINES.items():
            points = sorted(
                (share, us[side]) for (of, share), us in timed.items() if of == what and side in us
            )
            if points:
                axes.plot(*zip(*points, strict=True), mark, color=colour, markersize=5, label=name)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xticks([0.01, 0.1, 1], ["1%", "10%", "100%"])
        axes.set_xlabel("Share of units that are open")
        axes.set_title({"training": "Training step", "forward": "Forward"}[what])
    figure.axes[0].set_ylabel("Time of a step (µs)")
    figure.axes[0].legend(fontsize=8)
    return figure


PANELS = (
    Panel(
        "fig-copy",
        "What a closed gate keeps",
        "Lines of the share of a state that is left against the steps since its gate closed: level at 1"
        " without a leak, falling with one; dotted and falling, an LSTM's context at forget gates 0.999 and"
        " 0.99.",
        draw_copy,
        ("c38",),
        from_runs=False,
        probe="closed_gate",
    ),
    Panel(
        "fig-slope",
        "What training with a slope of 1 does",
        "Lines of the relative error of a learned period against the training step, logarithmic: with the"
        " gate's slopes all fall below one in a thousand; with a slope of 1 everywhere, dotted, none does,"
        " and half of them rise.",
        draw_slope,
        ("c23",),
        from_runs=False,
        probe="slope",
    ),
    Panel(
        "fig-sparse",
        "What closed gates save",
        "Two logarithmic charts, training and forward, of the time of a step against the share of open units:"
        " where open units only are computed it grows with the share; all units, and an LSTM without a gate,"
        " take the same at any share.",
        draw_sparse,
        ("c21",),
        from_runs=False,
        probe="gate",
    ),
)
