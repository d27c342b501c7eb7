"""``Ledger``: the only door to what is stored."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from memspan.errors import LedgerError
from memspan.ledger import checkpoints, curves, database, migration, rows, runs
from memspan.ledger.checkpoints import CheckpointFolder
from memspan.ledger.completeness import refuse_incomplete_run
from memspan.ledger.damage import mend_index
from memspan.ledger.events import Event
from memspan.ledger.file import LedgerFile, attach, name_byte
from memspan.ledger.holds import Holds
from memspan.ledger.names import canonical
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
from memspan.ledger.rows import CheckId
from memspan.ledger.seals import seal
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

    def __init__(self, path: Path, *, readonly: bool = False, check_id: CheckId | None = None) -> None:
        self.path = path
        with database.explained(path):
            self._path = canonical(path)  # all names of a ledger lead to one file, and to what lies beside it
            self._file, self._name, alone = _entered(self._path, readonly)
        try:
            self.holds = Holds(self._path, self._file)
            self.files = CheckpointFolder.beside(self._path)
            self._db = database.connect(self._path, self._file, readonly=readonly, alone=alone)
        except BaseException:
            self._file.leave(self._name)
            self._file.detach()
            raise
        self._closed = False
        self._check_id = check_id
        self._table = "runs"
        self._writer = Writer(self._db, self._path, self.files)

    @classmethod
    def open(
        cls, path: str | os.PathLike[str], *, readonly: bool = False, check_id: CheckId | None = None
    ) -> Ledger:
        """Open a ledger, made when absent, and check it; an older one is brought up to date beside a copy.

        Whatever path leads to the file, symbolic and hard links included, it is the same ledger.

        Args:
            path: the SQLite file.
            readonly: refuse to make or change anything.
            check_id: computes a run's id from its flat config, to check every run that is read; see
                ``memspan.config``. Checksums alone find damage, but no row that was written on purpose.

        Raises:
            ForeignLedgerError: the path holds something else.
            LedgerError: a newer schema, damage, a place that cannot be read or written, a ``-wal`` beside the
                file that is not its own.
        """
        ledger = cls(Path(path), readonly=readonly, check_id=check_id)
        try:
            ledger._prepare(readonly)
        except BaseException:
            ledger.close()
            raise
        return ledger

    def _prepare(self, readonly: bool) -> None:
        if not readonly:
            migration.migrate(self._db, self._path)
        with database.explained(self._path):
            if not mend_index(self._db, readonly=readonly):
                self._table = "runs NOT INDEXED"
        if not readonly:
            self._writer.tidy()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let the file and the held runs go; what was appended is on the disk already."""
        self.holds.release_all()
        self._db.close()
        if not self._closed:
            self._closed = True
            self._file.leave(self._name)
            self._file.detach()

    def check(self) -> None:
        """Read the whole file; small ledgers were checked when they were opened.

        Raises:
            LedgerError: it is damaged.
        """
        database.check(self._db, self._path)

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
        with database.explained(self._path):
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
        with database.explained(self._path):
            expected = runs.final_sha256(self._db, run_id)
        path = self.files.final(run_id)
        state = self.files.read(path) if expected else None
        if state is not None and checkpoints.digest(state) != expected:
            raise LedgerError(
                f"{str(path)!r} does not match its checksum; restore it, or train the run again"
            )
        return state

    def get(self, run_id: str) -> RunRecord | None:
        """Return one run, None when it is unknown.

        Raises:
            LedgerError: its row is damaged.
        """
        sound, damaged = self._read("WHERE id = ?", run_id)
        for reason in damaged.values():
            raise reason
        return next(iter(sound), None)

    def select(self, **where: Any) -> list[RunRecord]:
        """Return the runs that match, ordered by id.

        Args:
            where: ``status``, ``id``, ``imported`` or any config field = a value, or a list, tuple, set or
                range of values. A field that a run does not have is None.

        Raises:
            UnknownNameError: no stored run has such a field.
            LedgerError: the row of a run that might match is damaged; ``intact`` leaves it out.
        """
        sound, damaged = self._read()
        for run_id, reason in damaged.items():
            if matching([(run_id, {"id": run_id})], {"id": where.get("id", run_id)}):
                raise reason
        return self._matching(sound, where)

    def intact(self, **where: Any) -> list[RunRecord]:
        """Return the runs that match and whose rows are whole; see ``select`` and ``damaged``."""
        return self._matching(self._read()[0], where)

    def damaged(self) -> dict[str, str]:
        """Return what is wrong with the runs whose rows are damaged, by their id as it stands in the row."""
        return {run_id: str(reason) for run_id, reason in self._read()[1].items()}

    def remove_damaged(self) -> list[str]:
        """Take the damaged runs that nobody trains out of the ledger, and return their ids."""
        free = [run_id for run_id in self.damaged() if self.holds.take(run_id)]
        try:
            self._writer.erase_rows(self._damaged_rows(free))
        finally:
            for run_id in free:
                self.holds.release(run_id)
        return free

    def statuses(self, ids: Iterable[str]) -> dict[str, str]:
        """Return the status of each of these runs that is known.

        Raises:
            LedgerError: the row of one of them is damaged.
        """
        query = f"SELECT * FROM {self._table} WHERE id IN (SELECT value FROM json_each(?))"
        with database.explained(self._path):
            found = self._db.execute(query, (json.dumps(list(ids)),)).fetchall()
        return {row.id: row.status for row in map(rows.vouched, found)}

    def standings(self) -> dict[str, tuple[str, int]]:
        """Return status and step of every run, from the index alone: cheap enough for every second."""
        with database.explained(self._path):
            found = self._db.execute(f"SELECT id, status, step FROM {self._table}")
            return {
                run_id: (status, step)
                for run_id, status, step in found
                if type(run_id) is type(status) is str and type(step) is int  # else ``damaged`` says more
            }

    def curve(self, run_id: str, name: str) -> Curve:
        """Return one curve of a run.

        Raises:
            UnknownNameError: the run has no such curve.
        """
        with database.explained(self._path):
            noted = self._noted_lengths(run_id)
            curve = curves.read(self._db, run_id, name)
        if noted is not None and noted.get(name) != len(curve):
            raise curves.damaged(run_id, name)
        return curve

    def curve_names(self, run_id: str) -> list[str]:
        """Return the names of a run's curves, sorted.

        Raises:
            LedgerError: a curve of a done run is missing.
        """
        with database.explained(self._path):
            noted = self._noted_lengths(run_id)
            names = curves.names(self._db, run_id)
        for name in () if noted is None else noted.keys() ^ set(names):
            raise curves.damaged(run_id, name)
        return names

    def _noted_lengths(self, run_id: str) -> dict[str, int] | None:
        """Return how long each curve of a done run is, None where that was never noted."""
        row = rows.find(self._db, run_id)
        return None if row is None or not row.curves else json.loads(row.curves)

    def adopt(self, done: Iterable[DoneRun]) -> ImportReport:
        """Take over done runs from elsewhere, all or none; their ids must have been checked.

        Raises:
            LedgerError: a run that is not complete, or one whose row here is damaged.
        """
        fates: dict[runs.Fate, list[str]] = {"added": [], "already": [], "refused": []}
        with self._writer.transaction():
            for run in done:
                refuse_incomplete_run(run)
                fates[runs.adopt(self._db, run)].append(run.id)
        for run_id in fates["added"]:
            self.files.remove(run_id)
        return ImportReport(len(fates["added"]), len(fates["already"]), tuple(fates["refused"]))

    def measure(
        self, config: Mapping[str, Any], values: Mapping[str, Any], machine: Mapping[str, Any]
    ) -> None:
        """Keep one repeat of a benchmark: what was measured, the numbers, on which machine."""
        with self._writer.transaction():
            texts = tuple(map(rows.text, (config, values, machine)))
            number = self._db.execute("SELECT coalesce(max(number), 0) + 1 FROM measurements").fetchone()[0]
            self._db.execute(
                "INSERT INTO measurements (number, config, results, machine, seal) VALUES (?, ?, ?, ?, ?)",
                (number, *texts, seal((number, *texts))),
            )

    def measurements(self, **where: Any) -> list[Measurement]:
        """Return the measurements whose config matches, in the order they were taken; see ``select``."""
        with database.explained(self._path):
            found = self._db.execute("SELECT * FROM measurements ORDER BY number").fetchall()
        measured = [_measurement(*row) for row in found]
        return matching([(m, m.config) for m in measured], where)

    def _matching(self, sound: list[RunRecord], where: Mapping[str, Any]) -> list[RunRecord]:
        fields = [(r, {**r.config, "id": r.id, "status": r.status, "imported": r.imported}) for r in sound]
        return matching(fields, where)

    def _damaged_rows(self, run_ids: Iterable[str]) -> dict[int, str]:
        """Return the numbers of these runs' rows: an id that is damaged itself cannot be asked for."""
        with database.explained(self._path):
            found = self._db.execute("SELECT rowid, id FROM runs NOT INDEXED").fetchall()
        wanted = set(run_ids)
        return {number: str(run_id) for number, run_id in found if str(run_id) in wanted}

    def _read(self, clause: str = "", *values: Any) -> tuple[list[RunRecord], dict[str, LedgerError]]:
        """Return the whole rows as records, and what is wrong with the others."""
        with database.explained(self._path):
            query = f"SELECT * FROM {self._table} {clause} ORDER BY id"
            found = self._db.execute(query, values).fetchall()
        sound: list[RunRecord] = []
        damaged: dict[str, LedgerError] = {}
        for row in found:
            try:
                sound.append(rows.record(rows.vouched(row), self, self._check_id))
            except LedgerError as error:
                damaged[str(row[0])] = error
        return sound, damaged


def _entered(path: Path, readonly: bool) -> tuple[LedgerFile, int, bool]:
    """Open and enter a ledger's file; return it, the byte of its name, and whether nobody else uses it."""
    if readonly and not path.exists():
        raise LedgerError(f"no ledger at {str(path)!r}; expected a file that a memspan run has written")
    if not readonly:
        path.parent.mkdir(parents=True, exist_ok=True)
    file = attach(path, write=not readonly, create=not readonly)
    try:
        alone = file.alone()
        file.enter(path)
    except BaseException:
        file.detach()
        raise
    return file, name_byte(path), alone


def _measurement(
    number: int, config: str, results: str, machine: str, sealed: str | None = None
) -> Measurement:
    if sealed is None or sealed == seal((number, config, results, machine)):
        with suppress(ValueError, TypeError, RecursionError):
            return Measurement(json.loads(config), json.loads(results), json.loads(machine))
    raise LedgerError(
        f"measurement {number} of this ledger is damaged; move the ledger away and import an export of it"
    )
