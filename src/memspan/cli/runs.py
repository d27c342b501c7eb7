"""``memspan runs``: look into the ledger, take runs out or in."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from memspan.cli.options import LEDGER
from memspan.errors import ArgumentError, OutputError

if TYPE_CHECKING:
    from memspan.ledger import Ledger


@dataclass(frozen=True)
class RunsStatus:
    """Count the ledger's runs by status."""

    out: Path = Path("out")
    """Folder of the ledger."""
    json: bool = False
    """Print JSON."""

    def run(self) -> int:
        """Print how many runs are planned, running, finished and stopped."""
        with _open(self.out) as ledger:
            counts = Counter(record.status for record in ledger.select())
        shown = {status: counts.get(status, 0) for status in ("planned", "running", "finished", "stopped")}
        print(json.dumps(shown) if self.json else "  ".join(f"{k} {v}" for k, v in shown.items()))
        return 0


@dataclass(frozen=True)
class RunsList:
    """List the ledger's runs, one a line."""

    out: Path = Path("out")
    """Folder of the ledger."""
    where: tuple[str, ...] = ()
    """Conditions such as cell=lstm length=50."""
    json: bool = False
    """Print JSON."""

    def run(self) -> int:
        """Print id, status, task, cell, seed and final accuracy of every run that meets the conditions."""
        with _open(self.out) as ledger:
            records = ledger.select(**_conditions(self.where))
        if self.json:
            rows = [
                {"id": r.id, **r.config, "status": r.status, "step": r.step, **r.metrics} for r in records
            ]
            print(json.dumps(rows, indent=2))
            return 0
        for r in records:
            accuracy = f"{r.metrics['accuracy']:.4f}" if "accuracy" in r.metrics else "-"
            words = " ".join(str(r.config[k]) for k in ("task", "length", "cell") if k in r.config)
            seed = f"seed {r.config['seed']:<4} step {r.step:<6}"
            print(f"{r.id}  {r.status:8}  {words:24}  {seed} accuracy {accuracy}")
        return 0


@dataclass(frozen=True)
class RunsExport:
    """Write finished runs to a Parquet file: config, final metrics, thinned curves."""

    file: tyro.conf.Positional[Path]
    """The Parquet file to write."""
    out: Path = Path("out")
    """Folder of the ledger."""

    def run(self) -> int:
        """Write the file and print how many runs it holds."""
        from memspan.ledger.parquet import export_parquet

        if not self.file.parent.is_dir():
            raise OutputError(f"{self.file}: its folder does not exist; make it first")
        with _open(self.out) as ledger:
            n = len(ledger.select(status=("finished", "stopped")))
            export_parquet(ledger, self.file)
        print(f"{n} runs written to {self.file}")
        return 0


@dataclass(frozen=True)
class RunsImport:
    """Take runs from a Parquet file into the ledger; they count as finished."""

    file: tyro.conf.Positional[Path]
    """A file that ``memspan runs export`` wrote, here or on another machine."""
    out: Path = Path("out")
    """Folder of the ledger, made if need be."""

    def run(self) -> int:
        """Import and print how many runs were added and how many were there already."""
        from memspan.cli.options import SweepOptions
        from memspan.cli.train import open_ledger
        from memspan.config import RunConfig
        from memspan.ledger.parquet import import_parquet

        if not self.file.is_file():
            raise ArgumentError(f"{self.file}: no such file; expected one written by memspan runs export")
        with open_ledger(SweepOptions(out=self.out)) as ledger:
            report = import_parquet(ledger, self.file, check_id=lambda flat: RunConfig.from_flat(flat).id)
        print(f"{report.added} runs added, {report.already} were there already")
        if report.refused:
            print(f"{len(report.refused)} differ from the finished runs stored here and were left out:")
            print("\n".join(report.refused))
        return 1 if report.refused else 0


def _open(out: Path) -> Ledger:
    from memspan.ledger import Ledger

    if not (out / LEDGER).exists():
        raise ArgumentError(f"--out {out}: there is no ledger in it; memspan train or reproduce makes one")
    return Ledger.open(out / LEDGER, readonly=True)


def _conditions(where: tuple[str, ...]) -> dict[str, object]:
    conditions: dict[str, object] = {}
    for word in where:
        name, equals, value = word.partition("=")
        if not equals:
            raise ArgumentError(f"--where {word!r}: expected NAME=VALUE, for instance cell=lstm")
        try:
            conditions[name] = json.loads(value)
        except json.JSONDecodeError:
            conditions[name] = value
    return conditions
