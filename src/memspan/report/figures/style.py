"""One look for every figure: colours that survive colour blindness, print and a dark page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, ParamSpec

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK, MUTED, GRID, PAPER, CLAIMED = "#1b1f24", "#5d6570", "#dde1e6", "#fefefe", "#f3e3b3"
CELL_COLOURS = {"rnn": "#c2500a", "lstm": "#0b62a4"}
CELL_MARKERS = {"rnn": "s", "lstm": "o"}
CELL_NAMES = {"rnn": "Vanilla RNN", "lstm": "LSTM"}
THIRD = "#7a3e9d"
"""Of whatever stands beside RNN and LSTM."""
MOST_SHADES = 16
"""Lengths, or whatever is in order, that one figure shows at most."""
LENGTH_LABEL = "Palindrome length T (digits)"

DARK = {
    INK: "#e8eaed",
    MUTED: "#a3abb5",
    GRID: "#343a41",
    PAPER: "#14171a",
    CLAIMED: "#4a4122",
    "#c2500a": "#f0894a",
    "#0b62a4": "#5fb0ee",
    THIRD: "#c79be6",
    "#1f7a4d": "#63c795",
    "#8a6d00": "#d9b93c",
    "#a3244f": "#ef86a9",
    "#4d4d4d": "#b3b3b3",
}
"""Colour on a light page → colour on a dark one. The sequence of lengths adds its own."""

RC: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.titlelocation": "left",
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "figure.facecolor": "none",
    "legend.frameon": False,
    "lines.solid_capstyle": "round",
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    "axes.unicode_minus": True,
}

P = ParamSpec("P")


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Draw a figure in the house's look, leaving matplotlib's own settings as they were."""

    @wraps(draw)
    def in_style(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with mpl.rc_context(RC):
            return draw(*args, **kwargs)

    return in_style


def length_colours(lengths: Sequence[int], *, dark: bool = False) -> dict[int, str]:
    """Return length → colour, in even steps along viridis from the shortest to the longest."""
    first, last = (0.28, 0.95) if dark else (0.0, 0.86)
    shades = np.linspace(first, last, len(lengths))
    return {T: mpl.colors.to_hex(mpl.colormaps["viridis"](s)) for T, s in zip(lengths, shades, strict=True)}


def dark_colours() -> dict[str, str]:
    """Return colour on light → colour on dark, for every colour the figures use."""
    found = dict(DARK)
    for count in range(1, MOST_SHADES + 1):
        light, dark = (length_colours(range(count), dark=look) for look in (False, True))
        found |= {light[k]: dark[k] for k in range(count)}
    return found


def accuracy_axis(axes: Axes, label: str) -> None:
    """Scale an axis to accuracy 0 … 1, the same everywhere, with the chance line at 0.10."""
    axes.set_ylim(-0.02, 1.04)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1.0])
    axes.set_ylabel(label)
    axes.axhline(0.10, color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1.5)


def seeds_note(counts: list[int]) -> str:
    """Say how many seeds there are, and that one seed has no interval."""
    least, most = min(counts), max(counts)
    if most == 1:
        return "n = 1 seed per length: no interval"
    return f"n = {most} seeds per length" if least == most else f"n = {least} … {most} seeds per length"


def label_chance(axes: Axes) -> None:
    """Write "chance" under its line, where the study's lengths leave room."""
    across = axes.get_yaxis_transform()
    axes.text(0.8, 0.085, "chance", color=MUTED, fontsize=7.5, va="top", ha="center", transform=across)
