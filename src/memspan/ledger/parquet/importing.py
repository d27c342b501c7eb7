"""A Parquet file of runs, taken over into a ledger: every row is checked before the first is stored.

Anybody may have written the file, its seal included: types, ranges and ids are checked row by row.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from memspan.errors import ForeignLedgerError, LedgerError, MemspanError, UntrustedNameError, shown
from memspan.ledger.checking import check_done_run
from memspan.ledger.parquet.format import FACTS, FORMAT, MARK, PARTS, SEAL, arrow, seal
from memspan.ledger.records import Curve, DoneRun, ImportReport
from memspan.ledger.store import Ledger
from memspan.untrusted import file_size, read_json

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
        check_id: computes a run's id from its flat config, which anybody may have written: see
            ``RunConfig.from_stored``; None trusts the ids in the file.

    Raises:
        ForeignLedgerError: the file is not an export of runs.
        LedgerError: the file cannot be read, is damaged or of a newer format, an id is not its config's, or a
            value is of another type or out of its range.
        UntrustedNameError: a config names a cell or a task by its import path.
    """
    source = Path(path)
    with _opened(source) as file:
        seen: set[str] = set()
        for run in _done_runs(file, source):
            check_done_run(run, f"{str(source)!r}")
            _check_id(run, source, check_id)
            if run.id in seen:
                raise LedgerError(f"{str(source)!r}: run {run.id} is in it twice; export the runs again")
            seen.add(run.id)
        return ledger.adopt(_done_runs(file, source))


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    pa, pq = arrow()
    try:
        file_size(path)
    except (OSError, MemspanError) as error:
        raise LedgerError(
            f"{str(path)!r} is not a file that can be read ({error});"
            " expected one that memspan runs export has written"
        ) from None
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
    names = file.schema_arrow.names
    parts = [f"curve_{curve}_{part}" for curve in _curve_names(names) for part in PARTS]
    missing = [name for name in (*sorted(_PLAIN), *parts) if name not in names]
    if missing or len(set(names)) < len(names):
        which = f"has no column {missing[0]!r}" if missing else "has two columns of one name"
        raise LedgerError(f"{str(path)!r} {which}; export the runs again")


def _foreign(path: Path) -> ForeignLedgerError:
    return ForeignLedgerError(f"{str(path)!r} is not a file of runs; expected one from memspan runs export")


def _rows(file: Any) -> Iterator[dict[str, Any]]:
    """Yield rows as name → Arrow scalar; a damaged page is met here."""
    pa, _ = arrow()
    try:
        for batch in file.iter_batches(_ROWS):
            for i in range(batch.num_rows):
                yield {name: batch.column(name)[i] for name in batch.schema.names}
    except (OSError, pa.ArrowException) as error:
        raise LedgerError(f"the Parquet file is damaged ({error}); export the runs again") from error


def _check_id(run: DoneRun, path: Path, check_id: CheckId | None) -> None:
    try:
        computed = check_id(dict(run.config)) if check_id else run.id
    except UntrustedNameError:
        raise
    except (MemspanError, ValueError, TypeError, KeyError) as error:
        raise LedgerError(f"{str(path)!r}: the config of run {run.id} is not understood: {error}") from error
    if computed != run.id:
        raise LedgerError(
            f"{str(path)!r}: run {run.id} has a config whose id is {computed}; "
            "the file was changed, nothing of it was imported"
        )


def _done_runs(file: Any, path: Path) -> Iterator[DoneRun]:
    names = file.schema_arrow.names
    metrics = [n.removeprefix("final_") for n in names if n.startswith("final_")]
    curves = _curve_names(names)
    for row in _rows(file):
        try:
            plain = {name: row[name].as_py() for name in _PLAIN}
            config = _config(plain, path)
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
        except UnicodeDecodeError as error:
            raise LedgerError(f"{str(path)!r} holds text that is not UTF-8: {error}") from None


def _curve_names(names: list[str]) -> list[str]:
    return [match[1] for name in names if (match := re.fullmatch("curve_(.*)_step", name))]


def _config(plain: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Return a row's config as names and values; which they may be, ``check_id`` says."""
    where = f"{str(path)!r}: the config of run {shown(plain['id'])}"
    try:
        config = read_json(str(plain["config"]), "it")
    except MemspanError as error:
        raise LedgerError(f"{where} is not understood: {error}") from None
    if not isinstance(config, dict):
        raise LedgerError(f"{where} is not understood: expected names and values, got {shown(config)}")
    return config


def _curve(row: Mapping[str, Any], name: str, path: Path) -> Curve:
    step, mean, low, high = (_array(row[f"curve_{name}_{part}"]) for part in PARTS)
    if not len(step) == len(mean) == len(low) == len(high):
        raise LedgerError(f"{str(path)!r}: curve {name!r} of run {row['id']} is cut; export the runs again")
    return Curve(step, mean, low, high, row["curve_bin"].as_py())


def _array(scalar: Any) -> np.ndarray:
    """Return a list's numbers; what is no list is empty, and so of another length than its curve."""
    values: Any = getattr(scalar, "values", None)
    return values.to_numpy(zero_copy_only=False) if hasattr(values, "to_numpy") else np.empty(0)
