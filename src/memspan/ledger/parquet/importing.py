"""A Parquet file of runs, taken over into a ledger: every row is checked before the first is stored."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from memspan.errors import ForeignLedgerError, LedgerError, MemspanError
from memspan.ledger.parquet.format import FACTS, FORMAT, MARK, PARTS, SEAL, arrow, seal
from memspan.ledger.records import DONE, Curve, DoneRun, ImportReport
from memspan.ledger.store import Ledger

_PLAIN = {"id", "config", "status", "reason", "step", "curve_bin", "wall_seconds", *FACTS}
_ROWS = 256  # runs in memory at a time

CheckId = Callable[[dict[str, Any]], str]


def import_parquet(
    ledger: Ledger, path: str | os.PathLike[str], *, check_id: CheckId | None = None
) -> ImportReport:
    """Take the runs of an export into a ledger, where they count as done; all of them, or none.

    Args:
        ledger: where they go. A run that is done there stays as it is.
        path: a file that ``export_parquet`` wrote.
        check_id: computes a run's id from its flat config; None trusts the ids in the file.

    Raises:
        ForeignLedgerError: the file is not an export of runs.
        LedgerError: the file cannot be read, is damaged or of a newer format, or an id is not its config's.
    """
    source = Path(path)
    with _opened(source) as file:
        for row in _rows(file, ["id", "config", "status"]):
            _check(row, source, check_id)
        return ledger.adopt(_done_runs(file, source))


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    pa, pq = arrow()
    if path.is_dir() or not path.exists():
        raise LedgerError(f"{str(path)!r} is not a file; expected one that memspan runs export has written")
    try:
        file = pq.ParquetFile(path, page_checksum_verification=True)
    except pa.ArrowInvalid as error:
        raise _foreign(path) from error
    except (OSError, ValueError, pa.ArrowException) as error:
        raise LedgerError(f"{str(path)!r} cannot be read: {error}; export the runs again") from error
    with file:
        _recognise(file, path)
        yield file


def _recognise(file: Any, path: Path) -> None:
    marks = file.schema_arrow.metadata or {}
    if MARK not in marks:
        raise _foreign(path)
    if marks[MARK] != FORMAT:
        raise LedgerError(
            f"{str(path)!r} has format {marks[MARK].decode(errors='replace')}, expected {FORMAT.decode()}; "
            "update memspan"
        )
    if marks.get(SEAL) != seal(file.schema_arrow):
        raise LedgerError(f"{str(path)!r} has other columns than it was written with; export the runs again")


def _foreign(path: Path) -> ForeignLedgerError:
    return ForeignLedgerError(f"{str(path)!r} is not a file of runs; expected one from memspan runs export")


def _rows(file: Any, columns: list[str] | None = None) -> Iterator[dict[str, Any]]:
    """Yield rows as name → Arrow scalar; a damaged page is met here."""
    pa, _ = arrow()
    try:
        for batch in file.iter_batches(_ROWS, columns=columns):
            for i in range(batch.num_rows):
                yield {name: batch.column(name)[i] for name in batch.schema.names}
    except (OSError, pa.ArrowException) as error:
        raise LedgerError(f"the Parquet file is damaged ({error}); export the runs again") from error


def _check(row: Mapping[str, Any], path: Path, check_id: CheckId | None) -> None:
    run_id, status = row["id"].as_py(), row["status"].as_py()
    if status not in DONE:
        raise LedgerError(f"{str(path)!r}: run {run_id} has status {status!r}, expected {' or '.join(DONE)}")
    try:
        config = json.loads(row["config"].as_py())
        computed = check_id(config) if check_id else run_id
    except (MemspanError, ValueError, TypeError, KeyError) as error:
        raise LedgerError(f"{str(path)!r}: the config of run {run_id} is not understood: {error}") from error
    if computed != run_id:
        raise LedgerError(
            f"{str(path)!r}: run {run_id} has a config whose id is {computed}; "
            "the file was changed, nothing of it was imported"
        )


def _done_runs(file: Any, path: Path) -> Iterator[DoneRun]:
    names = file.schema_arrow.names
    metrics = [n.removeprefix("final_") for n in names if n.startswith("final_")]
    curves = [match[1] for n in names if (match := re.fullmatch("curve_(.*)_step", n))]
    for row in _rows(file):
        plain = {name: row[name].as_py() for name in _PLAIN}
        config = json.loads(plain["config"])
        mine = [n for n in metrics if row[f"final_{n}"].is_valid and f"final_{n}" not in config]
        yield DoneRun(
            id=plain["id"],
            config=config,
            status=plain["status"],
            reason=plain["reason"],
            step=plain["step"],
            metrics={n: row[f"final_{n}"].as_py() for n in mine},
            facts={n: plain[n] for n in FACTS if plain[n] is not None},
            wall_seconds=plain["wall_seconds"],
            curves={n: _curve(row, n, path) for n in curves if row[f"curve_{n}_step"].is_valid},
        )


def _curve(row: Mapping[str, Any], name: str, path: Path) -> Curve:
    step, mean, low, high = (_array(row[f"curve_{name}_{part}"]) for part in PARTS)
    if not len(step) == len(mean) == len(low) == len(high):
        raise LedgerError(f"{str(path)!r}: curve {name!r} of run {row['id']} is cut; export the runs again")
    return Curve(step, mean, low, high, row["curve_bin"].as_py())


def _array(scalar: Any) -> np.ndarray:
    return scalar.values.to_numpy(zero_copy_only=False) if scalar.is_valid else np.empty(0)
