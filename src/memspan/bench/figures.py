"""Figures of the benchmark: from rows to a matplotlib Figure, and from that to an SVG file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullLocator

from memspan.bench.kernels import Row, training_rows
from memspan.bench.points import AXES, CELLS, Point
from memspan.bench.sides import DENSE, PACKED, PADDED

COLOURS = {"rnn": "#c2500a", "gru": "#009e73", "lstm": "#0b62a4"}
MARKERS = {"rnn": "s", "gru": "^", "lstm": "o"}
OFFSET = {"rnn": -0.16, "gru": 0.0, "lstm": 0.16}
NAMES = {"rnn": "RNN", "gru": "GRU", "lstm": "LSTM"}
INK, MUTED, GRID = "#1b1f24", "#5d6570", "#dde1e6"
RC: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "figure.facecolor": "white",
    "legend.frameon": False,
    "svg.fonttype": "path",
    "svg.hashsalt": "memspan",
}
CENTRE = Point("lstm")
RAGGED = "ragged"


def name_of(row: Row) -> str:
    """Return a point's name: what it has other than the centre."""
    parts = [f"{axis} {row[axis]}" for axis in AXES if row[axis] != getattr(CENTRE, axis)]
    return ", ".join(parts) or "centre"


def _order(row: Row) -> tuple[Any, ...]:
    """Sort by kind of peer, then by which axes differ, then along them."""
    differs = [k for k, axis in enumerate(AXES) if row[axis] != getattr(CENTRE, axis)]
    return (
        [DENSE, RAGGED, PADDED, PACKED].index(row["peer"]),
        len(differs),
        differs,
        [row[axis] for axis in AXES],
    )


def _label(row: Row) -> str:
    return (
        name_of(row) + {DENSE: "", PACKED: " · packed", PADDED: " · padded", RAGGED: " · ragged"}[row["peer"]]
    )


def ratios(rows: Iterable[Row]) -> Figure:
    """Draw how many times faster than ``torch.nn`` every point is."""
    rows = training_rows(rows)
    found = [row["ratio"] for row in rows if row["peer"] in (DENSE, PACKED, PADDED)]

    def scale(axes: Axes) -> None:
        axes.set_xscale("log")
        axes.set_xlim(min([0.9, *found]) * 0.9, max([3, *found]) * 1.15)
        axes.xaxis.set_major_locator(mpl.ticker.FixedLocator([0.2, 0.5, 1, 2, 3, 5, 10, 20, 50]))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}×"))
        axes.axvline(1, color=INK, linewidth=1)
        axes.set_xlabel("time of torch.nn ÷ ours")

    return _across(rows, "ratio", scale)


def fractions(rows: Iterable[Row]) -> Figure:
    """Draw which part of the GEMM ceiling every point reaches; ragged points once."""

    def scale(axes: Axes) -> None:
        axes.set_xlim(0, 1.02)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f}%"))
        axes.axvline(0.8, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        axes.set_xlabel("of the GEMM ceiling (dashed: 80%)")

    timed = [row for row in training_rows(rows) if row["peer"] in (DENSE, PACKED)]
    mine = [row | {"peer": RAGGED} if row["ragged"] else row for row in timed]
    return _across(mine, "ceiling_fraction", scale)


def _across(rows: Iterable[Row], value: str, scale: Callable[[Axes], None]) -> Figure:
    """Draw a value of every point, a line each; side by side for each number of threads."""
    shown = [row for row in training_rows(rows) if row["peer"] in (DENSE, PACKED, PADDED, RAGGED)]
    labels = list(dict.fromkeys(_label(row) for row in sorted(shown, key=_order)))
    threads = sorted({row["threads"] for row in shown}, reverse=True) or [1]
    with mpl.rc_context(RC):
        figure = Figure(figsize=(8.4, 1.5 + 0.21 * len(labels)), layout="constrained")
        panels = figure.subplots(1, len(threads), sharey=True, squeeze=False)[0]
        for axes, n in zip(panels, threads, strict=True):
            for cell in CELLS:
                mine = [row for row in shown if row["cell"] == cell and row["threads"] == n]
                axes.plot(
                    [row[value] for row in mine],
                    [labels.index(_label(row)) + OFFSET[cell] for row in mine],
                    linestyle="none", marker=MARKERS[cell], markersize=5.5, color=COLOURS[cell], alpha=0.9,
                )  # fmt: skip
            axes.set_title(f"{n} thread{'s' if n > 1 else ''}")
            scale(axes)
        panels[0].set_yticks(range(len(labels)), labels)
        panels[0].set_ylim(len(labels) - 0.4, -0.6)
        _legend(figure, [_mark(cell) for cell in CELLS])
    return figure


def _mark(cell: str, **style: Any) -> Line2D:
    shape = {"linestyle": "none", "marker": MARKERS[cell], **style}
    return Line2D([], [], color=COLOURS[cell], label=NAMES[cell], **shape)


def _legend(figure: Figure, handles: Sequence[Line2D]) -> None:
    figure.legend(handles=list(handles), loc="outside upper center", ncols=len(handles))


def costs(rows: Iterable[Row]) -> Figure:
    """Draw milliseconds of a training step against T, H and R, ours and ``torch.nn``, at the most threads."""
    shown = [row for row in training_rows(rows) if row["peer"] == DENSE]
    most = max((row["threads"] for row in shown), default=1)
    shown = [row for row in shown if row["threads"] == most]
    with mpl.rc_context(RC):
        figure = Figure(figsize=(8.4, 3.4), layout="constrained")
        for axes, axis in zip(figure.subplots(1, 3), ("T", "H", "R"), strict=True):
            _cost(axes, axis, [row for row in shown if name_of(row).split()[0] in ("centre", axis)])
        first, second, third = figure.axes
        first.set(xlabel="T, steps", ylabel="ms a training step")
        second.set(xlabel="H, units (both axes logarithmic)", xscale="log", xlim=(28, 590))
        second.set_yscale("log" if second.lines else "linear")
        second.set_xticks([32, 64, 128, 256, 512], ["32", "64", "128", "256", "512"])
        second.xaxis.set_minor_locator(NullLocator())
        second.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        third.set(xlabel="R, replicas in one call", xticks=[1, 8])
        third.set_ylim(bottom=0)
        first.set_ylim(bottom=0)
        _legend(
            figure, [*(_mark(cell, linestyle="-") for cell in CELLS), _style("-", "ours"), _style(":", DENSE)]
        )
    return figure


def _cost(axes: Axes, axis: str, rows: Sequence[Row]) -> None:
    """Draw one axis' points, those that differ from the centre in nothing else."""
    for cell in CELLS:
        mine = sorted((r for r in rows if r["cell"] == cell and "," not in name_of(r)), key=lambda r: r[axis])
        if not mine:
            continue
        x = [row[axis] for row in mine]
        look: dict[str, Any] = {"color": COLOURS[cell], "marker": MARKERS[cell], "markersize": 4.5}
        axes.plot(x, [row["ours_ms"] for row in mine], "-", **look)
        axes.plot(x, [row["peer_ms"] for row in mine], ":", markerfacecolor="white", **look)


def _style(line: Literal["-", ":"], label: str) -> Line2D:
    face = "white" if line == ":" else INK
    return Line2D([], [], color=INK, linestyle=line, marker="o", markerfacecolor=face, label=label)


FIGURES: dict[str, Callable[[Iterable[Row]], Figure]] = {
    "kernels-ratio": ratios,
    "kernels-ceiling": fractions,
    "kernels-cost": costs,
}


def save(figure: Figure, path: Path) -> None:
    """Write a figure as SVG; the same rows give the same bytes."""
    with mpl.rc_context(RC):
        FigureCanvasSVG(figure)
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
