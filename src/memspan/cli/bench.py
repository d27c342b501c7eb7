"""``memspan bench kernels``: check, measure, and write table and figures."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from memspan.errors import ArgumentError, UnknownNameError

if TYPE_CHECKING:
    from memspan.bench.findings import Findings
    from memspan.bench.points import Point
    from memspan.config import RunConfig
    from memspan.ledger import Ledger

OUT = Path("docs/benchmarks")
PARTS = ("points", "pack", "avx2", "compile", "memory")


@dataclass(frozen=True)
class BenchKernels:
    """Check the kernels against torch.nn, time them in turns with it, write the page; about 20 minutes.

    Rows are written as they come. A filter leaves points out, and then only points are measured.
    """

    cell: tuple[str, ...] = ()
    """Only these cells: rnn, gru, lstm."""
    length: tuple[int, ...] = ()
    """Only these T."""
    batch: tuple[int, ...] = ()
    """Only these B."""
    hidden: tuple[int, ...] = ()
    """Only these H."""
    replicas: tuple[int, ...] = ()
    """Only these R."""
    threads: tuple[int, ...] = ()
    """Only these thread counts: 1, 2."""
    ragged: Literal["both", "yes", "no"] = "both"
    """Only ragged points (yes), or only dense ones (no)."""
    parts: tuple[str, ...] = ()
    """Only these parts: points, pack, avx2, compile, memory."""
    missing: bool = False
    """Measure only what the folder does not hold yet: the way to do it in several sittings."""
    quick: bool = False
    """Few repeats, and points only: a look."""
    busy: bool = False
    """Measure although other processes use this machine; the rows say how much."""
    render: bool = False
    """Measure nothing, draw the page from what was measured."""
    out: Path = OUT
    """Folder of kernels.md, kernels.json and the figures."""
    ledger: Path | None = None
    """Keep every row in this ledger's table of measurements too."""
    json: bool = False
    """Print the rows as JSON."""

    def run(self) -> int:
        """Measure and write; the exit code is 1 when a kernel failed its check."""
        points, parts = self._points(), self._parts()
        from memspan.bench.findings import Findings
        from memspan.bench.kernels import failed
        from memspan.bench.page import told, write_page

        found = Findings.read(self.out, drawing=self.render)
        if self.render:
            print(write_page(found, self.out))
            return 0
        rows = self._measure(found, points if "points" in parts else [], parts)
        write_page(found, self.out)
        print(json.dumps(rows, indent=1, ensure_ascii=False) if self.json else told(rows))
        return 1 if failed(rows) else 0

    def _points(self) -> list[Point]:
        """Return the points left by the filters; what is wrong is said before torch is imported."""
        from memspan.bench.points import CELLS, chosen, points
        from memspan.machine import cores

        for name in self.cell:
            if name not in CELLS:
                raise UnknownNameError("cell", name, CELLS)
        wanted = {"cell": self.cell, "T": self.length, "B": self.batch, "H": self.hidden, "R": self.replicas}
        ragged = () if self.ragged == "both" else (self.ragged == "yes",)
        there = points(range(1, min(2, cores()) + 1))
        left = chosen(there, {**wanted, "threads": self.threads, "ragged": ragged})
        if not left:
            raise ArgumentError(
                "no point passes all of these filters; only one axis at a time leaves the centre"
            )
        return left

    def _parts(self) -> tuple[str, ...]:
        for part in self.parts:
            if part not in PARTS:
                raise UnknownNameError("part", part, PARTS)
        filters = (self.cell, self.length, self.batch, self.hidden, self.replicas, self.threads)
        looking = self.quick or any(filters) or self.ragged != "both"
        return self.parts or (("points",) if looking else PARTS)

    def _measure(
        self, found: Findings, points: Sequence[Point], parts: Sequence[str]
    ) -> list[dict[str, Any]]:
        """Measure, and file every result at once; return the new rows."""
        from memspan.bench.kernels import KEY, bench
        from memspan.bench.timing import keep_memory, refuse_if_busy

        if not self.busy:
            refuse_if_busy()
        keep_memory()
        made: list[dict[str, Any]] = []
        with _keeping(self.ledger, found) as keep:
            found.write(self.out)
            for rows in bench([p for p in points if not (self.missing and found.holds(p))], self.quick):
                made += rows
                found.add(rows)
                found.write(self.out)
                for row in rows:
                    _tell(row)
                    keep({"bench": "kernels"} | {name: row[name] for name in KEY}, row)
            for name, measure in _others().items():
                if name in parts and not (self.missing and name in found.others):
                    found.others[name] = measure()
                    found.write(self.out)
                    keep({"bench": name}, found.others[name])
        return made


@contextlib.contextmanager
def _keeping(path: Path | None, found: Findings) -> Iterator[Callable[[dict[str, Any], Any], None]]:
    """Yield what keeps a measurement in the ledger, or nothing where none was named."""
    if path is None:
        yield lambda config, values: None
        return
    from memspan.ledger import Ledger

    with Ledger.open(path) as ledger:
        yield _keeper(ledger, found)


def _keeper(ledger: Ledger, found: Findings) -> Callable[[dict[str, Any], Any], None]:
    def keep(config: dict[str, Any], values: Any) -> None:
        ledger.measure(config, {k: v for k, v in values.items() if k not in config}, found.machine)

    return keep


def _tell(row: dict[str, Any]) -> None:
    from memspan.bench.page import told

    if sys.stderr.isatty():
        print(told([row]), file=sys.stderr)


def _others() -> dict[str, Callable[[], dict[str, Any]]]:
    """Return what is measured beside the points."""
    from memspan.bench import apart, packs
    from memspan.machine import cores

    return {
        "pack": lambda: packs.pack_row(packs.runs(), update_of, min(2, cores())),
        "avx2": apart.avx2,
        "compile": apart.compiling,
        "memory": apart.memory,
    }


def update_of(configs: Sequence[RunConfig], threads: int) -> Callable[[int], Sequence[Any]]:
    """Return what applies one update to a pack of runs: the very code that trains."""
    from memspan.training.pack import Pack

    return Pack(configs, threads=threads).update
