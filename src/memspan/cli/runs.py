"""``memspan runs``: look into the ledger, take runs out or in."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from memspan.cli.bounds import value_of
from memspan.cli.options import LEDGER
from memspan.errors import ArgumentError, OutputError

if TYPE_CHECKING:
    from memspan.ledger import Ledger


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
        with open_readonly(self.out) as ledger:
            records = ledger.intact(**conditions(self.where))
            damaged = ledger.damaged()
        for reason in damaged.values():
            print(f"memspan: {reason}", file=sys.stderr)
        if self.json:
            rows = [
                {"id": r.id, **r.config, "status": r.status, "step": r.step, **r.metrics} for r in records
            ]
            print(json.dumps(rows, indent=2))
            return 1 if damaged else 0
        for r in records:
            accuracy = f"{r.metrics['accuracy']:.4f}" if "accuracy" in r.metrics else "-"
            words = " ".join(str(r.config[k]) for k in ("task", "length", "cell") if k in r.config)
            seed = f"seed {r.config.get('seed', '-'):<4} step {r.step:<6}"
            print(f"{r.id}  {r.status:8}  {words:24}  {seed} accuracy {accuracy}")
        return 1 if damaged else 0


@dataclass(frozen=True)
class RunsExport:
    """Write finished runs to a Parquet file (config, final metrics, thinned curves) or to CSV (no curves)."""

    file: tyro.conf.Positional[Path]
    """The file to write; CSV if it ends in .csv, Parquet otherwise."""
    out: Path = Path("out")
    """Folder of the ledger."""

    def run(self) -> int:
        """Write the file and print how many runs it holds."""
        from memspan.ledger.csv import export_csv
        from memspan.ledger.parquet import export_parquet

        if not self.file.parent.is_dir():
            raise OutputError(f"{self.file}: its folder does not exist; make it first")
        with open_readonly(self.out) as ledger:
            export = export_csv if self.file.suffix.lower() == ".csv" else export_parquet
            n = export(ledger, self.file)
        print(f"{n} runs written to {self.file}")
        return 0


@dataclass(frozen=True)
class RunsImport:
    """Take runs from a Parquet file, or all of a results folder, into the ledger; they count as finished."""

    file: tyro.conf.Positional[Path]
    """A file that ``memspan runs export`` wrote, here or on another machine, or a folder that
    ``memspan reproduce --publish`` wrote, whose answers come along."""
    out: Path = Path("out")
    """Folder of the ledger, made if need be."""
    trust: tuple[str, ...] = ()
    """Import paths (package.module:Class) of cells and tasks of your own that the file may name; the code of
    the tasks runs."""

    def run(self) -> int:
        """Import and print how many runs were added and how many were there already."""
        from memspan.cli.options import SweepOptions
        from memspan.cli.train import open_ledger
        from memspan.config import RunConfig
        from memspan.ledger.parquet import import_parquet
        from memspan.report.results import import_results

        if not self.file.exists():
            raise ArgumentError(f"{self.file}: no such file; expected one written by memspan runs export")
        with open_ledger(SweepOptions(out=self.out)) as ledger:
            if self.file.is_dir():
                report = import_results(ledger, self.file)
            else:
                report = import_parquet(
                    ledger,
                    self.file,
                    check_id=lambda config: RunConfig.from_stored(config, self.trust).id,
                )
        print(f"{report.added} runs added, {report.already} were there already")
        if report.refused:
            print(f"{len(report.refused)} differ from the finished runs stored here and were left out:")
            print("\n".join(report.refused))
        return 1 if report.refused else 0


def refuse_without_ledger(out: Path) -> None:
    """Raise ArgumentError where a folder holds no ledger."""
    if not (out / LEDGER).exists():
        raise ArgumentError(f"--out {out}: there is no ledger in it; memspan train or sweep makes one")


def open_readonly(out: Path) -> Ledger:
    """Open the ledger of a folder to look into it.

    Raises:
        ArgumentError: there is none.
    """
    from memspan.config import RunConfig
    from memspan.ledger import Ledger

    refuse_without_ledger(out)
    return Ledger.open(out / LEDGER, readonly=True, check_id=RunConfig.stored_id)


def conditions(where: Sequence[str]) -> dict[str, object]:
    """Read conditions such as ``cell=lstm``.

    Raises:
        ArgumentError: a word without "=".
    """
    found: dict[str, object] = {}
    for word in where:
        name, equals, value = word.partition("=")
        if not equals:
            raise ArgumentError(f"--where {word!r}: expected NAME=VALUE, for instance cell=lstm")
        found[name] = value_of(f"--where {name}", value)
    return found
