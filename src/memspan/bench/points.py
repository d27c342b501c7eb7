"""What is measured: points around a centre, one axis at a time. Data only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from memspan.errors import ArgumentError

CELLS = ("rnn", "gru", "lstm")
GATES = {"rnn": 1, "gru": 3, "lstm": 4}
TRAINING, FORWARD = "forward+backward", "forward"
THREADS = (1, 2)
AXES = {"T": (10, 50, 1000), "B": (1, 16), "H": (32, 64, 256, 512), "R": (8,)}
SMALL = {"H": (32, 64), "B": (1, 4, 8, 16)}
RAGGED_AXES = {"B": (1, 16), "H": (32, 64, 256, 512), "R": (8,)}
SHORTEST = 10
FLAGS = {"cell": "cell", "T": "length", "B": "batch", "H": "hidden", "R": "replicas", "threads": "threads"}


@dataclass(frozen=True)
class Point:
    """One thing to measure.

    Args:
        cell: ``rnn``, ``gru`` or ``lstm``.
        passes: ``"forward+backward"`` with every weight gradient, or ``"forward"`` keeping nothing.
        T, B, H, R: steps, batch, width, replicas; the input has one feature.
        threads: cores that either side may use.
        ragged: lengths uniform on 10 … T instead of T everywhere.
    """

    cell: str
    passes: str = TRAINING
    T: int = 100
    B: int = 128
    H: int = 128
    R: int = 1
    threads: int = 2
    ragged: bool = False

    @property
    def central(self) -> bool:
        """Whether this is the dense centre, where other libraries are measured too."""
        return replace(self, threads=2) == Point(self.cell)

    def operations(self, steps: float | None = None) -> float:
        """Return the floating-point operations of the recurrent products.

        Args:
            steps: true steps of all rows and replicas, R·T·B if not given.
        """
        rows = self.R * self.T * self.B if steps is None else steps
        return (3 if self.passes == TRAINING else 1) * 2.0 * rows * GATES[self.cell] * self.H**2

    def columns(self) -> dict[str, Any]:
        """Return the point as the first columns of a row."""
        return {
            "cell": self.cell,
            "pass": self.passes,
            **{name: getattr(self, name) for name in ("T", "B", "H", "R", "threads", "ragged")},
        }


def points(threads: Iterable[int] = THREADS) -> list[Point]:
    """Return every point of the benchmark, the centres first, each once."""
    wanted: list[Point] = []
    for n, cell in product(sorted(threads, reverse=True), CELLS):
        wanted += _around(Point(cell, threads=n))
    return sorted(dict.fromkeys(wanted), key=lambda p: not p.central)


def _around(centre: Point) -> Iterator[Point]:
    """Yield a centre, its axes, the small shapes and the ragged ones."""
    yield centre
    yield replace(centre, passes=FORWARD)
    for axis, values in AXES.items():
        yield from (_at(centre, axis, value) for value in values)
    yield from (replace(centre, H=h, B=b) for h, b in product(SMALL["H"], SMALL["B"]))
    yield replace(centre, ragged=True)
    if centre.threads == max(THREADS):
        for axis, values in RAGGED_AXES.items():
            yield from (_at(replace(centre, ragged=True), axis, value) for value in values)


def _at(point: Point, axis: str, value: int) -> Point:
    return replace(point, **{axis: value})  # type: ignore[arg-type]


def chosen(every: Iterable[Point], wanted: Mapping[str, Iterable[Any]]) -> list[Point]:
    """Return the points whose fields are among the wanted values; no values: any.

    Raises:
        ArgumentError: a value that no point has, or nothing left.
    """
    left = list(every)
    for name, values in wanted.items():
        allowed = tuple(values)
        known = sorted({getattr(point, name) for point in left})
        for value in allowed:
            if value not in known:
                there = ", ".join(map(str, known))
                raise ArgumentError(f"--{FLAGS[name]} {value}: no such point is measured; expected {there}")
        left = [point for point in left if not allowed or getattr(point, name) in allowed]
    return left
