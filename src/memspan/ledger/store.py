"""``Ledger``: the only door to what is stored."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from memspan.errors import LedgerError
from memspan.ledger import checkpoints, database, migration, rows, runs
from memspan.ledger.checkpoints import CheckpointFolder
from memspan.ledger.completeness import refuse_incomplete_run
from memspan.ledger.damage import mend_index
from memspan.ledger.events import Event
from memspan.ledger.holds import Holds
from memspan.ledger.names import canonical, entered
from memspan.ledger.reading import Reader, matching_runs
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
            self._file, self._name, alone = entered(self._path, readonly)
        try:
            self.holds = Holds(self._path, self._file)
            self.files = CheckpointFolder.beside(self._path)
            self._db = database.connect(self._path, self._file, readonly=readonly, alone=alone)
        except BaseException:
            self._file.leave(self._name)
            self._file.detach()
            raise
        self._closed = False
        self._reader = Reader(self._db, self._path, self, check_id)
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
                self._reader.indexed = False
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
        sound, damaged = self._reader.runs("WHERE id = ?", run_id)
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
        sound, damaged = self._reader.runs()
        for run_id, reason in damaged.items():
            if matching([(run_id, {"id": run_id})], {"id": where.get("id", run_id)}):
                raise reason
        return matching_runs(sound, where)

    def intact(self, **where: Any) -> list[RunRecord]:
        """Return the runs that match and whose rows are whole; see ``select`` and ``damaged``."""
        return matching_runs(self._reader.runs()[0], where)

    def damaged(self) -> dict[str, str]:
        """Return what is wrong with the runs whose rows are damaged, by their id as it stands in the row."""
        return {run_id: str(reason) for run_id, reason in self._reader.runs()[1].items()}

    def remove_damaged(self) -> list[str]:
        """Take the damaged runs that nobody trains out of the ledger, and return their ids."""
        free = [run_id for run_id in self.damaged() if self.holds.take(run_id)]
        try:
            self._writer.erase_rows(self._reader.numbered(free))
        finally:
            for run_id in free:
                self.holds.release(run_id)
        return free

    def statuses(self, ids: Iterable[str]) -> dict[str, str]:
        """Return the status of each of these runs that is known.

        Raises:
            LedgerError: the row of one of them is damaged.
        """
        return self._reader.statuses(ids)

    def standings(self) -> dict[str, tuple[str, int]]:
        """Return status and step of every run, from the index alone: cheap enough for every second."""
        return self._reader.standings()

    def curve(self, run_id: str, name: str) -> Curve:
        """Return one curve of a run.

        Raises:
            UnknownNameError: the run has no such curve.
        """
        return self._reader.curve(run_id, name)

    def curve_names(self, run_id: str) -> list[str]:
        """Return the names of a run's curves, sorted.

        Raises:
            LedgerError: a curve of a done run is missing.
        """
        return self._reader.curve_names(run_id)

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
        return matching([(m, m.config) for m in self._reader.measurements()], where)
