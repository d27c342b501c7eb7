"""``Ledger``: the only door to what is stored."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from memspan.errors import LedgerError, UnknownNameError
from memspan.ledger import checkpoints, curves, database, runs
from memspan.ledger.checkpoints import CheckpointFolder
from memspan.ledger.events import Checkpoint, Event, Finished, Started, Stopped
from memspan.ledger.records import (
    DONE,
    Curve,
    DamagedCheckpointWarning,
    DoneRun,
    ImportReport,
    Measurement,
    Resume,
    RunPage,
    RunRecord,
)


class Ledger:
    """One SQLite file, and a folder of checkpoints beside it. Made by ``Ledger.open``.

    Many processes may read while one writes; a write is one short transaction, on the disk when the
    call returns. One object belongs to one thread.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, Ledger.open(Path(folder, "runs.ledger")) as ledger:
        ...     ledger.select(status="finished")
        []
    """

    def __init__(self, path: Path, *, readonly: bool = False) -> None:
        self.path, self.readonly = path, readonly
        self._db = database.connect(path, readonly=readonly)
        self._files = CheckpointFolder.beside(path)
        self._attempts: dict[str, int] = {}

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, readonly: bool = False) -> Ledger:
        """Open a ledger, made when absent, and check it.

        Args:
            path: the SQLite file.
            readonly: refuse to make or change anything.

        Raises:
            ForeignLedgerError: the path holds something else.
            LedgerError: a newer schema, damage, or a place that cannot be read or written.
        """
        ledger = cls(Path(path), readonly=readonly)
        if not readonly:
            ledger._tidy()
        return ledger

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let the file go; what was appended is on the disk already."""
        self._db.close()

    def check(self) -> None:
        """Read the whole file; small ledgers were checked when they were opened.

        Raises:
            LedgerError: it is damaged.
        """
        database.check(self._db, self.path)

    def register(self, pages: Iterable[RunPage]) -> None:
        """Enter runs as planned; what is known of one already stays."""
        with self._transaction():
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
        match event:
            case Started():
                return self._start(event)
            case Checkpoint():
                return self._checkpoint(event)
            case Finished() | Stopped():
                return self._close_run(event)
        return False

    def resume(self, run_id: str) -> Resume | None:
        """Return where a run goes on, and drop everything recorded after that; None: begin at step 0.

        A checkpoint that does not match its checksum is set aside with a ``DamagedCheckpointWarning``.
        """
        if self.statuses([run_id]).get(run_id, "finished") in DONE:
            return None
        state = self._files.read(self._files.current(run_id))
        with self._transaction():
            known = runs.announced(self._db, run_id)
            step = (
                runs.checkpoint_step(self._db, run_id, checkpoints.digest(state))
                if state is not None
                else None
            )
            runs.rewind(self._db, run_id, 0 if step is None else step)
        if state is not None and step is not None:
            return Resume(step, state)
        if state is not None and known:
            self._set_aside(run_id)
        return None

    def final_state(self, run_id: str) -> bytes | None:
        """Return the state a finished run ended with, None when none was kept or it was imported.

        Raises:
            LedgerError: the file does not match its checksum.
        """
        with database.explained(self.path):
            row = self._db.execute("SELECT final_sha256 FROM runs WHERE id = ?", (run_id,)).fetchone()
        if row is None or not row[0]:
            return None
        path = self._files.final(run_id)
        state = self._files.read(path)
        if state is not None and checkpoints.digest(state) != row[0]:
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
        found = self._records("")
        known = {"id", "status", "imported"}.union(*(r.config for r in found))
        _refuse_unknown(where, known if found else where)
        return [r for r in found if _matches(where, {**r.config, **_own(r)})]

    def statuses(self, ids: Iterable[str]) -> dict[str, str]:
        """Return the status of each of these runs that is known."""
        with database.explained(self.path):
            known = dict(self._db.execute("SELECT id, status FROM runs"))
        return {run_id: known[run_id] for run_id in ids if run_id in known}

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
        fates: dict[str, list[str]] = {"added": [], "already": [], "refused": []}
        with self._transaction():
            for run in done:
                fates[runs.adopt(self._db, run)].append(run.id)
        for run_id in fates["added"]:
            self._files.remove(run_id)
        return ImportReport(**{fate: tuple(ids) for fate, ids in fates.items()})

    def measure(
        self, config: Mapping[str, Any], values: Mapping[str, Any], machine: Mapping[str, Any]
    ) -> None:
        """Keep one repeat of a benchmark: what was measured, the numbers, on which machine."""
        with self._transaction():
            self._db.execute(
                "INSERT INTO measurements (config, results, machine) VALUES (?, ?, ?)",
                tuple(map(runs.text, (config, values, machine))),
            )

    def measurements(self, **where: Any) -> list[Measurement]:
        """Return the measurements whose config matches, in the order they were taken; see ``select``."""
        with database.explained(self.path):
            rows = self._db.execute(
                "SELECT config, results, machine FROM measurements ORDER BY number"
            ).fetchall()
        found = [Measurement(*map(json.loads, row)) for row in rows]
        _refuse_unknown(where, set().union(*(m.config for m in found)) if found else where)
        return [m for m in found if _matches(where, m.config)]

    def _start(self, event: Started) -> bool:
        with self._transaction():
            if runs.standing(self._db, event.run_id).status in DONE:
                return False
            runs.start(self._db, event)
            self._attempts[event.run_id] = runs.standing(self._db, event.run_id).attempt
            stale = not runs.announced(self._db, event.run_id)
        if stale:
            self._files.remove(event.run_id)
        return True

    def _checkpoint(self, event: Checkpoint) -> bool:
        """First the curves, then the file: a file on the disk is never newer than the curves."""
        with self._transaction():
            if not self._welcome(event):
                return False
            seconds = runs.advance(self._db, event)
            if event.state:
                runs.announce(self._db, event, checkpoints.digest(event.state), seconds)
        if event.state:
            self._files.write(self._files.current(event.run_id), event.state)
        return True

    def _close_run(self, event: Finished | Stopped) -> bool:
        """First the file, then the row: a run that counts as finished has its last state on the disk."""
        state = event.state if isinstance(event, Finished) else b""
        if not self._welcome(event):
            return False
        if state:
            self._files.write(self._files.final(event.run_id), state)
        with self._transaction():
            if not self._welcome(event):
                return False
            runs.advance(self._db, event)
            runs.close(self._db, event, checkpoints.digest(state) if state else "")
        self._files.remove(event.run_id)
        return True

    def _welcome(self, event: Event) -> bool:
        """Whether the run is open, the event not older than what is stored, and its worker the latest."""
        with database.explained(self.path):
            now = runs.standing(self._db, event.run_id)
        latest = self._attempts.get(event.run_id, now.attempt) == now.attempt
        return now.status not in DONE and event.step >= now.step and latest

    def _set_aside(self, run_id: str) -> None:
        aside = self._files.set_aside(run_id)
        warnings.warn(
            f"the checkpoint of run {run_id} does not match its checksum; it was moved to {str(aside)!r} "
            "and the run starts again at step 0",
            DamagedCheckpointWarning,
            stacklevel=3,
        )

    def _tidy(self) -> None:
        """Remove the checkpoints of runs that were done when their process was killed."""
        waiting = self._files.unfinished()
        for run_id, status in self.statuses(waiting).items():
            if status in DONE:
                self._files.remove(run_id)

    def _records(self, clause: str, *values: Any) -> list[RunRecord]:
        with database.explained(self.path):
            rows = self._db.execute(
                f"SELECT {runs.COLUMNS} FROM runs {clause} ORDER BY id", values
            ).fetchall()
        return [runs.record(row, self) for row in rows]

    def _transaction(self) -> AbstractContextManager[None]:
        return database.transaction(self._db, self.path)


def _own(run: RunRecord) -> dict[str, Any]:
    return {"id": run.id, "status": run.status, "imported": run.imported}


def _refuse_unknown(where: Iterable[str], known: Iterable[str]) -> None:
    for name in where:
        if name not in known:
            raise UnknownNameError("field", name, known)


def _matches(where: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    return all(_fits(values.get(name), wanted) for name, wanted in where.items())


def _fits(value: Any, wanted: Any) -> bool:
    return value in wanted if isinstance(wanted, list | tuple | set | frozenset | range) else value == wanted
