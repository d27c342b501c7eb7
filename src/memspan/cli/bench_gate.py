"""``memspan bench gate``: what the time gate saves, equality first."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memspan.errors import ArgumentError

OUT = Path("docs/benchmarks")


@dataclass(frozen=True)
class BenchGate:
    """Time an LSTM under a time gate against one without, by share of open units; about three minutes.

    A filter leaves points out; rows measured before stay on the page.
    """

    share: tuple[float, ...] = ()
    """Only these open shares: 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1."""
    what: tuple[str, ...] = ()
    """Only these: training, forward, "one call", "one call a step"."""
    threads: int = 2
    """Cores that every side may use."""
    quick: bool = False
    """Few repeats: a look."""
    busy: bool = False
    """Measure although other processes use this machine; the rows say how much."""
    render: bool = False
    """Measure nothing, draw the page from what was measured."""
    out: Path = OUT
    """Folder of gate.md, gate.json and the figure."""
    ledger: Path | None = None
    """Keep every row in this ledger's table of measurements too."""
    json: bool = False
    """Print the rows as JSON."""

    def run(self) -> int:
        """Measure and write; the exit code is 1 when a kernel failed its check."""
        from memspan.bench.gate_page import read, told, write

        if self.render:
            print(write(*read(self.out), self.out))
            return 0
        rows = self._measure()
        self._keep(rows)
        print(json.dumps(rows, indent=1, ensure_ascii=False) if self.json else told(rows))
        return 0 if all(row["equal"] for row in rows) else 1

    def _measure(self) -> list[dict[str, Any]]:
        """Measure, and file every point's rows at once; return the new rows."""
        from memspan.bench.gate import bench, points
        from memspan.bench.gate_page import merged, told, write
        from memspan.bench.timing import keep_memory, refuse_if_busy
        from memspan.machine import machine

        there = points(self.threads)
        wanted = [
            p for p in there if p.share in (self.share or {p.share}) and p.what in (self.what or {p.what})
        ]
        if not wanted:
            shares, kinds = (sorted({getattr(p, name) for p in there}) for name in ("share", "what"))
            raise ArgumentError(f"no point is left; shares are {shares}, what is measured {kinds}")
        if not self.busy:
            refuse_if_busy()
        keep_memory()
        made: list[dict[str, Any]] = []
        for rows in bench(wanted, self.quick):
            made += rows
            write(machine(), merged(machine(), rows, self.out), self.out)
            if sys.stderr.isatty():
                print(told(rows), file=sys.stderr)
        return made

    def _keep(self, rows: list[dict[str, Any]]) -> None:
        """Keep the rows as measurements: what was timed is the config, the numbers are the values."""
        if self.ledger is None:
            return
        from memspan.bench.gate import KEY
        from memspan.ledger import Ledger
        from memspan.machine import machine

        with Ledger.open(self.ledger) as ledger:
            for row in rows:
                config = {"bench": "gate"} | {name: row[name] for name in KEY}
                ledger.measure(config, {k: v for k, v in row.items() if k not in config}, machine())
