"""The shipped results: one Parquet file of runs an experiment, answers of probes, verdicts, sha256 sums."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from memspan.config import RunConfig
from memspan.errors import ArgumentError, LedgerError, shown
from memspan.ledger import ImportReport, Ledger
from memspan.ledger.parquet import export_parquet, import_parquet
from memspan.report.evidence import answers
from memspan.report.output import whole_or_nothing
from memspan.study import Preset
from memspan.study.leaderboard import board_searches
from memspan.study.span_search import asked_so_far
from memspan.untrusted import read_file, read_json, read_text

SUMS, ANSWERS, VERDICTS, BOARD = "SHA256SUMS", "answers.json", "claims.json", "leaderboard.parquet"
LARGEST, TOGETHER = 3_000_000, 20_000_000
"""Bytes of one file, and of all of them."""
BINS = (20, 50, 100, 200, 500)
"""Steps that one point of a stored curve stands for; the coarsest that is needed to fit."""


def publish(ledger: Ledger, preset: Preset, verdicts: str, out: Path) -> None:
    """Write the results of a preset, and of the leaderboard, into a folder, whole or not at all.

    A run that several experiments need is in the file of the first.

    Args:
        ledger: where the runs and answers are; those of other presets are left out.
        verdicts: the text of ``claims.json``.
        out: a new or empty folder, or one of earlier results.

    Raises:
        OutputError: ``out`` is foreign or cannot be written.
        LedgerError: the files would be too large.
    """
    with whole_or_nothing(out) as folder:
        taken: set[str] = set()
        for experiment in preset.experiments:
            ids = {run.id for run in experiment.runs} - taken
            taken |= ids
            if ids:
                _export(ledger, folder / f"{experiment.id}.parquet", ids)
        board = set().union(*(asked_so_far(search, ledger) for search in board_searches().values()))
        _export(ledger, folder / BOARD, board - taken)
        rows = [
            {"config": dict(m.config), "values": dict(m.values), "machine": dict(m.machine)}
            for m in answers(ledger, preset)
        ]
        (folder / ANSWERS).write_text(json.dumps(rows, sort_keys=True, indent=0) + "\n", encoding="utf-8")
        (folder / VERDICTS).write_text(verdicts, encoding="utf-8")
        _seal(folder)


def _export(ledger: Ledger, path: Path, ids: set[str]) -> None:
    """Write one experiment's runs, with curves as fine as fits; nothing where none of them is over."""
    for bin in BINS:
        if not export_parquet(ledger, path, runs=ids, bin=bin):
            path.unlink()
            return
        if path.stat().st_size <= LARGEST:
            return
    raise LedgerError(
        f"{path.name} takes {path.stat().st_size:,} bytes, expected at most {LARGEST:,}; split the experiment"
    )


def _seal(folder: Path) -> None:
    files = sorted(path for path in folder.iterdir() if path.is_file())
    total = sum(path.stat().st_size for path in files)
    if total > TOGETHER:
        raise LedgerError(f"the results take {total:,} bytes, expected at most {TOGETHER:,}")
    lines = [f"{_sha256(path)}  {path.name}\n" for path in files]
    (folder / SUMS).write_text("".join(lines), encoding="utf-8")


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@contextmanager
def opened_results(folder: str | os.PathLike[str]) -> Iterator[Ledger]:
    """Give a ledger that holds what a results folder holds; it is gone afterwards.

    Raises:
        LedgerError: no results folder, or a file that is missing or was changed.
    """
    with TemporaryDirectory(prefix="memspan-results-") as room, Ledger.open(Path(room, "l.sqlite")) as ledger:
        import_results(ledger, Path(folder))
        yield ledger


def import_results(ledger: Ledger, folder: Path) -> ImportReport:
    """Take everything of a results folder into a ledger: runs, which count as finished, and answers.

    Raises:
        LedgerError: no results folder, or a file that is missing or was changed.
    """
    _check(folder)
    reports = [
        import_parquet(ledger, file, check_id=lambda config: RunConfig.from_stored(config).id)
        for file in sorted(folder.glob("*.parquet"))
    ]
    held = [measurement.config for measurement in ledger.measurements()]
    for row in _answers(folder / ANSWERS):
        if row["config"] not in held:
            ledger.measure(row["config"], row["values"], row["machine"])
    refused = tuple(line for report in reports for line in report.refused)
    return ImportReport(sum(r.added for r in reports), sum(r.already for r in reports), refused)


def _answers(path: Path) -> list[dict[str, dict[str, Any]]]:
    """Return the rows of the answers, whoever wrote them.

    Raises:
        LedgerError: something else than measurements.
    """
    try:
        rows = read_json(read_text(path, TOGETHER), str(path))
    except (ArgumentError, OSError) as error:
        raise LedgerError(f"{str(path)!r} cannot be read: {error}; publish the results again") from None
    for row in rows if isinstance(rows, list) else [rows]:
        if not isinstance(row, dict) or not all(
            isinstance(row.get(name), dict) for name in ("config", "values", "machine")
        ):
            raise LedgerError(f"{str(path)!r} holds {shown(row)}; expected config, values and machine")
    return rows if isinstance(rows, list) else [rows]


def _check(folder: Path) -> None:
    """Check the sums of a folder's own files; a sum of a file elsewhere is refused, and that not opened."""
    if not (folder / SUMS).is_file():
        raise LedgerError(f"{str(folder)!r} holds no {SUMS}; expected a folder that --publish has written")
    for line in _sums(folder / SUMS):
        expected, _, name = line.partition("  ")
        file = folder / Path(name).name
        try:
            same = file.name == name and hashlib.sha256(read_file(file, TOGETHER)).hexdigest() == expected
        except (ArgumentError, OSError):
            same = False
        if not same:
            raise LedgerError(f"{str(file)!r} is missing or was changed since it was published")


def _sums(path: Path) -> list[str]:
    try:
        return read_text(path, TOGETHER).splitlines()
    except (ArgumentError, OSError) as error:
        raise LedgerError(f"{str(path)!r} cannot be read: {error}") from None
