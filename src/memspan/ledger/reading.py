"""What is read from a ledger's tables: rows that vouch for themselves, and what is wrong with the others."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from memspan.errors import LedgerError
from memspan.ledger import curves, database, rows
from memspan.ledger.records import Curve, CurveSource, Measurement, RunRecord
from memspan.ledger.rows import CheckId
from memspan.ledger.seals import seal
from memspan.ledger.selection import matching


class Reader:
    """Reads an open ledger.

    Args:
        db: its database.
        path: its file, for messages.
        source: where records fetch their curves.
        check_id: see ``Ledger.open``.
    """

    def __init__(
        self, db: sqlite3.Connection, path: Path, source: CurveSource, check_id: CheckId | None
    ) -> None:
        self._db = db
        self._path = path
        self._source = source
        self._check_id = check_id
        self.indexed = True
        """Whether the indexes say the same as the table, and may be asked in its place."""

    @property
    def _table(self) -> str:
        return "runs" if self.indexed else "runs NOT INDEXED"

    def runs(self, clause: str = "", *values: Any) -> tuple[list[RunRecord], dict[str, LedgerError]]:
        """Return the whole rows as records, and what is wrong with the others."""
        with database.explained(self._path):
            query = f"SELECT * FROM {self._table} {clause} ORDER BY id"
            found = self._db.execute(query, values).fetchall()
        sound: list[RunRecord] = []
        damaged: dict[str, LedgerError] = {}
        for row in found:
            try:
                sound.append(rows.record(rows.vouched(row), self._source, self._check_id))
            except LedgerError as error:
                damaged[str(row[0])] = error
        return sound, damaged

    def statuses(self, ids: Iterable[str]) -> dict[str, str]:
        """Return the status of each of these runs that is known; see ``Ledger.statuses``."""
        query = f"SELECT * FROM {self._table} WHERE id IN (SELECT value FROM json_each(?))"
        with database.explained(self._path):
            found = self._db.execute(query, (json.dumps(list(ids)),)).fetchall()
        return {row.id: row.status for row in map(rows.vouched, found)}

    def standings(self) -> dict[str, tuple[str, int]]:
        """Return status and step of every run, as the index has them."""
        with database.explained(self._path):
            found = self._db.execute(f"SELECT id, status, step FROM {self._table}").fetchall()
        return {
            run_id: (status, step)
            for run_id, status, step in found
            if type(run_id) is type(status) is str and type(step) is int  # else ``damaged`` says more
        }

    def curve(self, run_id: str, name: str) -> Curve:
        """Return one curve of a run; see ``Ledger.curve``."""
        with database.explained(self._path):
            noted = self._noted_lengths(run_id)
            curve = curves.read(self._db, run_id, name)
        if noted is not None and noted.get(name) != len(curve):
            raise curves.damaged(run_id, name)
        return curve

    def curve_names(self, run_id: str) -> list[str]:
        """Return the names of a run's curves, sorted; see ``Ledger.curve_names``."""
        with database.explained(self._path):
            noted = self._noted_lengths(run_id)
            names = curves.names(self._db, run_id)
        for name in () if noted is None else noted.keys() ^ set(names):
            raise curves.damaged(run_id, name)
        return names

    def measurements(self) -> list[Measurement]:
        """Return all measurements in the order they were taken."""
        with database.explained(self._path):
            found = self._db.execute("SELECT * FROM measurements ORDER BY number").fetchall()
        return [_measurement(*row) for row in found]

    def numbered(self, run_ids: Iterable[str]) -> dict[int, str]:
        """Return the numbers of these runs' rows: an id that is damaged itself cannot be asked for."""
        with database.explained(self._path):
            found = self._db.execute("SELECT rowid, id FROM runs NOT INDEXED").fetchall()
        wanted = set(run_ids)
        return {number: str(run_id) for number, run_id in found if str(run_id) in wanted}

    def _noted_lengths(self, run_id: str) -> dict[str, int] | None:
        """Return how long each curve of a done run is, None where that was never noted."""
        row = rows.find(self._db, run_id)
        return None if row is None or not row.curves else json.loads(row.curves)


def matching_runs(records: list[RunRecord], where: Mapping[str, Any]) -> list[RunRecord]:
    """Return the records that match; see ``Ledger.select``."""
    fields = [(r, {**r.config, "id": r.id, "status": r.status, "imported": r.imported}) for r in records]
    return matching(fields, where)


def _measurement(
    number: int, config: str, results: str, machine: str, sealed: str | None = None
) -> Measurement:
    if sealed is None or sealed == seal((number, config, results, machine)):
        with suppress(ValueError, TypeError, RecursionError):
            return Measurement(json.loads(config), json.loads(results), json.loads(machine))
    raise LedgerError(
        f"measurement {number} of this ledger is damaged; move the ledger away and import an export of it"
    )
