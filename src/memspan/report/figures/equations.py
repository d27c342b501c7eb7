"""fig-recursion, fig-radius, fig-adam: what probes of the equations found; nothing is trained for them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from memspan.ledger import Measurement
from memspan.report.figures.panel import Panel
from memspan.report.figures.style import CELL_COLOURS, INK, MUTED, length_colours, styled

SIZE = (6.2, 3.5)


@styled
def draw_recursion(measurements: Sequence[Measurement]) -> Figure:
    """Draw the error of the printed recursion against the number of hidden units."""
    found = measurements[-1].values
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.add_subplot()
    axes.plot(found["width"], found["printed_by_width"], "o-", color=CELL_COLOURS["rnn"], markersize=5)
    axes.set_xscale("log", base=2)
    axes.set_xticks(found["width"], [str(n) for n in found["width"]])
    axes.minorticks_off()
    axes.set_ylim(-0.03, 1)
    axes.set_xlabel("Hidden units n")
    axes.set_ylabel("Relative error of $dL/dW_{hh}$\n(median over random networks)")
    axes.annotate("exact", (1, 0), (1.12, 0.06), color=INK, fontsize=8)
    axes.set_title("The printed recursion against autograd")
    return figure


@styled
def draw_radius(measurements: Sequence[Measurement]) -> Figure:
    """Draw ‖∂h_T/∂h_{T−k}‖ against the lag k for several spectral radii, each below its bound."""
    found = measurements[-1].values
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.add_subplot()
    shades = list(length_colours(list(range(len(found["radius"])))).values())
    for radius, norm, bound, shade in zip(
        found["radius"], found["norm"], found["bound"], shades, strict=True
    ):
        axes.plot(found["lag"], norm, color=shade, linewidth=1.6)
        axes.plot(found["lag"], bound, color=shade, linewidth=0.9, linestyle=(0, (2, 2)))
        label = f"ρ = {radius:g}"
        axes.annotate(label, (found["lag"][-1], norm[-1]), (5, -3), color=INK, fontsize=8,
                      textcoords="offset points", annotation_clip=False)  # fmt: skip
    axes.set_yscale("log")
    axes.set_ylim(1e-13, 1e18)
    axes.set_xlim(0, found["lag"][-1] + 5)
    axes.set_xlabel("Lag k (steps)")
    axes.set_ylabel(r"$\|\,\partial h_T \,/\, \partial h_{T-k}\,\|_2$")
    axes.set_title("Gradient over k steps near h = 0, 32 units; dotted: product of the Jacobians’ norms")
    return figure


@styled
def draw_adam(measurements: Sequence[Measurement]) -> Figure:
    """Draw the printed Adam's step over the right one's, for a constant gradient."""
    found = measurements[-1].values
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.add_subplot()
    axes.axhline(1, color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
    axes.plot(found["t"], found["ratio"], color=CELL_COLOURS["lstm"], linewidth=1.8)
    axes.set_xscale("log")
    axes.set_ylim(0, max(2.2, 1.05 * np.max(found["ratio"])))
    axes.set_xlabel("Update t")
    axes.set_ylabel("Step as printed / Adam’s step")
    axes.set_title("Bias correction by 1 − β in the place of 1 − β^t")
    return figure


PANELS = (
    Panel(
        "fig-recursion",
        "The printed recursion is exact for one hidden unit only",
        "A line of the relative error of the report's recursion against the number of hidden units: 0 at one"
        " unit, above a third from two units on.",
        draw_recursion,
        ("c02", "c01"),
        from_runs=False,
        probe="bptt",
    ),
    Panel(
        "fig-radius",
        "Gradients grow or shrink with the spectral radius",
        "A line of the gradient's norm against the lag for each of five spectral radii, logarithmic:"
        " below 1 it falls, above 1 it rises. A dotted line of the same colour above each is its bound.",
        draw_radius,
        ("c03",),
        from_runs=False,
        probe="jacobians",
    ),
    Panel(
        "fig-adam",
        "What the printed bias correction does to Adam's steps",
        "A line of the printed step over the right one against the update: it begins at 1, rises above 2 at"
        " about the twelfth update and falls to a third.",
        draw_adam,
        ("c10", "c09"),
        from_runs=False,
        probe="adam",
    ),
)
