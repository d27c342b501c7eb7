"""``Ledger``: the only door to what is stored."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from memspan.errors import LedgerError
from memspan.ledger import checkpoints, curves, database, migration, runs
from memspan.ledger.checkpoints import CheckpointFolder
from memspan.ledger.events import Event
from memspan.ledger.holds import Holds
from memspan.ledger.records import (
    DONE,
    Curve,
    DoneRun,
    ImportReport,
    Measurement,
    Resume,
    RunPage,
    RunRecord,
)
from memspan.ledger.selection import matching
from memspan.ledger.writing import Writer


class Ledger:
    """One SQLite file, and a folder of checkpoints beside it. Made by ``Ledger.open``.

    Many processes may read while one writes; a write is one short transaction, on the disk when the
    call returns. One object belongs to one thread. ``holds`` says which runs are in whose hands, ``files`` is
    the folder of checkpoints.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, Ledger.open(Path(folder, "runs.ledger")) as ledger:
        ...     ledger.select(status="finished")
        []
    """

    def __init__(self, path: Path, *, readonly: bool = False) -> None:
        self.path = path
        self.holds = Holds(path)
        self.files = CheckpointFolder.beside(path)
        self._db = database.connect(path, readonly=readonly)
        self._writer = Writer(self._db, path, self.files)

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, readonly: bool = False) -> Ledger:
        """Open a ledger, made when absent, and check it; an older one is brought up to date beside a copy.

        Args:
            path: the SQLite file.
            readonly: refuse to make or change anything.

        Raises:
            ForeignLedgerError: the path holds something else.
            LedgerError: a newer schema, damage, or a place that cannot be read or written.
        """
        ledger = cls(Path(path), readonly=readonly)
        try:
            if not readonly:
                migration.migrate(ledger._db, ledger.path)
                ledger._writer.tidy()
        except BaseException:
            ledger.close()
            raise
        return ledger

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let the file and the held runs go; what was appended is on the disk already."""
        self.holds.release_all()
        self._db.close()

    def check(self) -> None:
        """Read the whole file; small ledgers were checked when they were opened.

        Raises:
            LedgerError: it is damaged.
        """
        database.check(self._db, self.path)

    def register(self, pages: Iterable[RunPage]) -> None:
        """Enter runs as planned; what is known of one already stays."""
        with self._writer.transaction():
            for page in pages:
                runs.plan(self._db, page.id, page.flat())

    def append(self, event: Event) -> bool:
        """Store one event of a registered run.

        ``Progress`` is never stored. A done run keeps its first result, and a worker whose run was
        started again by another is not listened to.

        Returns:
            Whether anything was stored.

        Raises:
            LedgerError: an unregistered run, a hole in a curve, a full disk.
            ArgumentError: a curve that does not fit its event.
        """
        return self._writer.append(event)

    def resume(self, run_id: str) -> Resume | None:
        """Return where a run goes on, and drop everything recorded after that; None: begin at step 0.

        A checkpoint that does not match its checksum is set aside with a ``DamagedCheckpointWarning``.
        """
        if self.statuses([run_id]).get(run_id, "finished") in DONE:
            return None
        return self._writer.resume(run_id)

    def checkpointed(self, run_ids: Iterable[str]) -> dict[str, int]:
        """Return the step of the latest checkpoint of those runs that have one; changes nothing."""
        with database.explained(self.path):
            return runs.checkpointed(self._db, run_ids)

    def retry(self, run_ids: Iterable[str]) -> None:
        """Forget what became of runs, so that they are trained again from the beginning."""
        self._writer.erase(run_ids, runs.forget)

    def delete(self, run_ids: Iterable[str]) -> None:
        """Take runs out of the ledger, with their curves and states."""
        self._writer.erase(run_ids, runs.delete)

    def final_state(self, run_id: str) -> bytes | None:
        """Return the state a finished run ended with, None when none was kept or it was imported.

        Raises:
            LedgerError: the file does not match its checksum.
        """
        with database.explained(self.path):
            expected = runs.final_sha256(self._db, run_id)
        path = self.files.final(run_id)
        state = self.files.read(path) if expected else None
        if state is not None and checkpoints.digest(state) != expected:
            raise LedgerError(
                f"{str(path)!r} does not match its checksum; restore it, or train the run again"
            )
        return state

    def get(self, run_id: str) -> RunRecord | None:
        """Return one run, None when it is unknown."""
        return next(iter(self._records("WHERE id = ?", run_id)), None)

    def select(self, **where: Any) -> list[RunRecord]:
        """Return the runs that match, ordered by id.

        Args:
            where: ``status``, ``id``, ``imported`` or any config field = a value, or a list, tuple, set or
                range of values. A field that a run does not have is None.

        Raises:
            UnknownNameError: no stored run has such a field.
        """
        pages = [
            (r, {**r.config, "id": r.id, "status": r.status, "imported": r.imported}) for r in self._records()
        ]
        return matching(pages, where)

    def statuses(self, ids: Iterable[str]) -> dict[str, str]:
        """Return the status of each of these runs that is known."""
        query = "SELECT id, status FROM runs WHERE id IN (SELECT value FROM json_each(?))"
        with database.explained(self.path):
            return dict(self._db.execute(query, (json.dumps(list(ids)),)))

    def standings(self) -> dict[str, tuple[str, int]]:
        """Return status and step of every run, from the index alone: cheap enough for every second."""
        with database.explained(self.path):
            rows = self._db.execute("SELECT id, status, step FROM runs")
            return {run_id: (status, step) for run_id, status, step in rows}

    def curve(self, run_id: str, name: str) -> Curve:
        """Return one curve of a run.

        Raises:
            UnknownNameError: the run has no such curve.
        """
        with database.explained(self.path):
            return curves.read(self._db, run_id, name)

    def curve_names(self, run_id: str) -> list[str]:
        """Return the names of a run's curves, sorted."""
        with database.explained(self.path):
            return curves.names(self._db, run_id)

    def adopt(self, done: Iterable[DoneRun]) -> ImportReport:
        """Take over done runs from elsewhere, all or none; their ids must have been checked."""
        fates: dict[runs.Fate, list[str]] = {"added": [], "already": [], "refused": []}
        with self._writer.transaction():
            for run in done:
                fates[runs.adopt(self._db, run)].append(run.id)
        for run_id in fates["added"]:
            self.files.remove(run_id)
        return ImportReport(len(fates["added"]), len(fates["already"]), tuple(fates["refused"]))

    def measure(
        self, config: Mapping[str, Any], values: Mapping[str, Any], machine: Mapping[str, Any]
    ) -> None:
        """Keep one repeat of a benchmark: what was measured, the numbers, on which machine."""
        with self._writer.transaction():
            self._db.execute(
                "INSERT INTO measurements (config, results, machine) VALUES (?, ?, ?)",
                tuple(map(runs.text, (config, values, machine))),
            )

    def measurements(self, **where: Any) -> list[Measurement]:
        """Return the measurements whose config matches, in the order they were taken; see ``select``."""
        with database.explained(self.path):
            rows = self._db.execute("SELECT config, results, machine FROM measurements ORDER BY number")
            found = [Measurement(*map(json.loads, row)) for row in rows]
        return matching([(m, m.config) for m in found], where)

    def _records(self, clause: str = "", *values: Any) -> list[RunRecord]:
        with database.explained(self.path):
            rows = self._db.execute(
                f"SELECT {runs.COLUMNS} FROM runs {clause} ORDER BY id", values
            ).fetchall()
        return [runs.record(row, self) for row in rows]
