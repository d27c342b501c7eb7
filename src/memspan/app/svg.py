"""Small charts as SVG strings: drawn in a millisecond, as wide as their column, told to a screen reader."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape

import numpy as np

Range = tuple[float, float]
Values = Iterable[float] | np.ndarray
WIDE = 1000
"""User units from the left end of the axes to the right one, however many pixels these are."""
FEW = 30
"""Letters below an axis that find room on a phone; of more, every second one is left out there."""


@dataclass
class Chart:
    """One pair of axes and what is drawn in it; ``render`` makes the string.

    Curves are stretched to the width of the page's column; words, dots and line widths keep their size.

    Args:
        title: what is seen, above the axes.
        x, y: range of each axis.
        x_label: what the x axis measures, with the unit.
        height: pixels from the lower end of the y axis to the upper one.
        ticks: numbers on the y axis; evenly spread if not given.
        powers: y values are powers of ten, and the axis says so.

    Example:
        >>> chart = Chart("Openness", x=(0, 10), y=(0, 1), x_label="time")
        >>> chart.line([0, 5, 10], [0, 1, 0], "main")
        >>> chart.render("rises, then falls").count("<polyline")
        1
    """

    title: str
    x: Range
    y: Range
    x_label: str = ""
    height: int = 140
    ticks: Sequence[float] | None = None
    powers: bool = False
    _curves: list[str] = field(default_factory=list)
    _dots: list[str] = field(default_factory=list)
    _names: list[str] = field(default_factory=list)
    _letters: list[tuple[float, str]] = field(default_factory=list)

    def line(self, xs: Values, ys: Values, kind: str) -> None:
        """Draw a line through points; ``kind`` is its class in the style sheet."""
        self._curves.append(f'<polyline class="line {kind}" points="{" ".join(self._points(xs, ys))}"/>')

    def band(self, xs: Values, low: Values, high: Values, kind: str) -> None:
        """Fill the area between two curves."""
        around = self._points(xs, high) + self._points(xs, low)[::-1]
        self._curves.append(f'<polygon class="band {kind}" points="{" ".join(around)}"/>')

    def span(self, start: float, end: float, kind: str) -> None:
        """Shade a stretch of the x axis over the whole height."""
        a, b = (WIDE * self._share(value) for value in (max(start, self.x[0]), min(end, self.x[1])))
        box = f'x="{a:.1f}" y="0" width="{b - a:.1f}" height="{self.height}"'
        self._curves.append(f'<rect class="{kind}" {box}/>')

    def dots(self, xs: Values, ys: Values, kind: str) -> None:
        """Draw a dot at every point."""
        for a, b in zip(xs, ys, strict=True):
            place = f'cx="{100 * self._share(a):.2f}%" cy="{self._y(b):.1f}"'
            self._dots.append(f'<circle class="dot {kind}" {place} r="3"/>')

    def legend(self, names: Sequence[tuple[str, str]]) -> None:
        """Write (name, kind) of every line beside the title, each behind a piece of its line."""
        self._names = [f'<span class="name {kind}">{escape(name)}</span>' for name, kind in names]

    def letters(self, places: Sequence[tuple[float, str]]) -> None:
        """Write symbols below the axis in place of its numbers."""
        self._letters = list(places)

    def render(self, description: str) -> str:
        """Return the chart as one figure.

        Args:
            description: what it shows in words, for those who do not see it.
        """
        stretched = f'viewBox="0 0 {WIDE} {self.height}" preserveAspectRatio="none"'
        return (
            f'<figure class="drawn"><figcaption><b>{escape(self.title)}</b>'
            f'<span class="legend">{"".join(self._names)}</span></figcaption>'
            f'<svg class="chart" height="{self.height}" role="img"'
            f' aria-label="{escape(self.title)}: {escape(description)}">{self._below()}{self._beside()}'
            f'<svg class="curves" width="100%" height="{self.height}" {stretched}>'
            f"{''.join(self._curves)}</svg>{''.join(self._dots)}</svg></figure>"
        )

    def _beside(self) -> str:
        """Return the numbers of the y axis and the lines across the chart."""
        parts = []
        about = min(3, self.y[1] - self.y[0]) if self.powers else 3  # powers: whole exponents
        for value in self.ticks if self.ticks is not None else steps(*self.y, about):
            y = f"{self._y(value):.1f}"
            parts.append(f'<line class="grid" x1="0" x2="100%" y1="{y}" y2="{y}"/>')
            shown = f"1e{value:g}" if self.powers else f"{value:g}"
            parts.append(f'<text class="tick" x="-8" y="{y}" dy="4" text-anchor="end">{shown}</text>')
        return "".join(parts)

    def _below(self) -> str:
        """Return the x axis: its numbers or letters, and its label."""
        below = self._letters or [(value, f"{value:g}") for value in steps(*self.x, 6)]
        thin = len(self._letters) > FEW
        parts = [
            f'<text class="{"tick rare" if thin and k % 2 else "tick"}" x="{100 * self._share(value):.2f}%"'
            f' y="{self.height + 17}" text-anchor="middle">{escape(shown)}</text>'
            for k, (value, shown) in enumerate(below)
        ]
        label = f'<text x="50%" y="{self.height + 33}" text-anchor="middle">{escape(self.x_label)}</text>'
        return "".join([*parts, label if self.x_label else ""])

    def _points(self, xs: Values, ys: Values) -> list[str]:
        return [f"{WIDE * self._share(a):.1f},{self._y(b):.1f}" for a, b in zip(xs, ys, strict=True)]

    def _share(self, value: float) -> float:
        """Return how far along the x axis a value lies, from 0 to 1."""
        low, high = self.x
        return (value - low) / (high - low)

    def _y(self, value: float) -> float:
        low, high = self.y
        return (high - value) / (high - low) * self.height


def steps(low: float, high: float, about: float) -> list[float]:
    """Return round numbers between two ends, about as many as asked for.

    Example:
        >>> steps(0, 60, 6)
        [0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0]
    """
    rough = (high - low) / about
    size = 10.0 ** np.floor(np.log10(rough))
    gap = next(size * m for m in (1, 2, 5, 10) if size * m >= rough * 0.999)
    first, last = np.ceil(low / gap - 1e-9), np.floor(high / gap + 1e-9)
    return [float(f"{k * gap:.12g}") for k in range(int(first), int(last) + 1)]
