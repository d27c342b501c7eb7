"""The picture of memory spans: share of seeds that solve against length, a line a recipe."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from memspan.report.figures.style import MUTED, PAPER, styled
from memspan.study.span import Span

LINES = ("#0b62a4", "#c2500a", "#1f7a4d", "#7a3e9d", "#8a6d00", "#a3244f", "#4d4d4d")
MARKERS = "osD^vPX"


@styled
def draw_spans(spans: Sequence[Span], names: Sequence[str]) -> Figure:
    """Draw the share of seeds that solve each length, with its 95% Wilson interval, a line a recipe.

    Args:
        spans: of one task.
        names: what each recipe is called.
    """
    figure = Figure(figsize=(6.6, 3.9), layout="constrained")
    axes = figure.add_subplot()
    for place, (span, name) in enumerate(zip(spans, names, strict=True)):
        _draw_span(axes, span, name, LINES[place % len(LINES)], MARKERS[place % len(MARKERS)])
    for share in (0.5, 0.9):
        axes.axhline(share, color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
    _label(axes, spans)
    return figure


def _draw_span(axes: Axes, span: Span, name: str, colour: str, marker: str) -> None:
    lengths = [row.length for row in span.rows]
    shares = [row.solved for row in span.rows]
    low, high = ([getattr(share, end) for share in shares] for end in ("low", "high"))
    axes.fill_between(lengths, low, high, color=colour, alpha=0.15, linewidth=0, zorder=1.5)
    axes.plot(
        lengths,
        [share.value for share in shares],
        marker=marker,
        color=colour,
        markeredgecolor=PAPER,
        linewidth=1.4,
        label=f"{name}: span50 = {span.span50.value:g}",
        zorder=3,
    )


def _label(axes: Axes, spans: Sequence[Span]) -> None:
    axes.set_xscale("log")
    lengths = sorted({row.length for span in spans for row in span.rows})
    axes.set_xticks(lengths, [f"{length}" for length in lengths], rotation=45, ha="right", fontsize=8)
    axes.minorticks_off()
    axes.set_ylim(-0.03, 1.03)
    axes.set_ylabel("Share of seeds that solve")
    axes.set_xlabel(f"{spans[0].task}: length of the sequences")
    axes.legend(loc="upper left", bbox_to_anchor=(0, -0.28), fontsize=8)
