"""Small charts as SVG strings: drawn in a millisecond, coloured by the page, readable by a screen reader."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape

import numpy as np

Range = tuple[float, float]
Values = Iterable[float] | np.ndarray
LEFT, RIGHT, TOP, BOTTOM = 46, 24, 24, 34
WIDE = 7.6
"""User units that a letter of a legend takes."""


@dataclass
class Chart:
    """One pair of axes and what is drawn in it; ``render`` makes the string.

    Args:
        title: what is seen, in the corner above the axes.
        x, y: range of each axis.
        x_label: what the x axis measures, with the unit.
        width, height: size in user units; the page scales it to its column.
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
    width: int = 720
    height: int = 190
    ticks: Sequence[float] | None = None
    powers: bool = False
    _parts: list[str] = field(default_factory=list)
    _letters: list[tuple[float, str]] = field(default_factory=list)

    def line(self, xs: Values, ys: Values, kind: str) -> None:
        """Draw a line through points; ``kind`` is its class in the style sheet."""
        points = " ".join(f"{self._x(a):.1f},{self._y(b):.1f}" for a, b in zip(xs, ys, strict=True))
        self._parts.append(f'<polyline class="line {kind}" points="{points}"/>')

    def band(self, xs: Values, low: Values, high: Values, kind: str) -> None:
        """Fill the area between two curves."""
        there = [f"{self._x(a):.1f},{self._y(b):.1f}" for a, b in zip(xs, high, strict=True)]
        back = [f"{self._x(a):.1f},{self._y(b):.1f}" for a, b in zip(xs, low, strict=True)]
        self._parts.append(f'<polygon class="band {kind}" points="{" ".join(there + back[::-1])}"/>')

    def span(self, start: float, end: float, kind: str) -> None:
        """Shade a stretch of the x axis over the whole height."""
        a, b = self._x(max(start, self.x[0])), self._x(min(end, self.x[1]))
        box = f'x="{a:.1f}" y="{TOP}" width="{b - a:.1f}" height="{self.height - TOP - BOTTOM}"'
        self._parts.append(f'<rect class="{kind}" {box}/>')

    def dots(self, xs: Values, ys: Values, kind: str) -> None:
        """Draw a dot at every point."""
        for a, b in zip(xs, ys, strict=True):
            self._parts.append(
                f'<circle class="dot {kind}" cx="{self._x(a):.1f}" cy="{self._y(b):.1f}" r="3"/>'
            )

    def legend(self, names: Sequence[tuple[str, str]]) -> None:
        """Write (name, kind) of every line into the upper right corner, each in its line's colour."""
        x = float(self.width - RIGHT)
        for text, kind in reversed(names):
            self._text(x, 14, text, f"name {kind}", "end")
            x -= WIDE * len(text) + 16

    def letters(self, places: Sequence[tuple[float, str]]) -> None:
        """Write symbols below the axis in place of its numbers."""
        self._letters = list(places)

    def render(self, description: str) -> str:
        """Return the chart as one SVG element.

        Args:
            description: what it shows in words, for those who do not see it.
        """
        return (
            f'<svg class="chart" viewBox="0 0 {self.width} {self.height}" role="img"'
            f' aria-label="{escape(self.title)}: {escape(description)}">'
            f"{''.join(self._frame())}{''.join(self._parts)}</svg>"
        )

    def _frame(self) -> list[str]:
        kept, self._parts = self._parts, []
        self._text(LEFT, 14, self.title, "title")
        self._text((LEFT + self.width - RIGHT) / 2, self.height - 4, self.x_label, "label", "middle")
        for value in self.ticks if self.ticks is not None else steps(*self.y, 3):
            y = self._y(value)
            self._parts.append(
                f'<line class="grid" x1="{LEFT}" x2="{self.width - RIGHT}" y1="{y}" y2="{y}"/>'
            )
            shown = f"1e{value:g}" if self.powers else f"{value:g}"
            self._text(LEFT - 6, y + 4, shown, "tick", "end")
        below = self._letters or [(value, f"{value:g}") for value in steps(*self.x, 6)]
        for value, text in below:
            self._text(self._x(value), self.height - BOTTOM + 15, text, "tick", "middle")
        frame, self._parts = self._parts, kept
        return frame

    def _text(self, x: float, y: float, text: str, kind: str, anchor: str = "start") -> None:
        place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
        self._parts.append(f'<text class="{kind}" {place}>{escape(text)}</text>')

    def _x(self, value: float) -> float:
        low, high = self.x
        return LEFT + (value - low) / (high - low) * (self.width - LEFT - RIGHT)

    def _y(self, value: float) -> float:
        low, high = self.y
        return TOP + (high - value) / (high - low) * (self.height - TOP - BOTTOM)


def steps(low: float, high: float, about: int) -> list[float]:
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
