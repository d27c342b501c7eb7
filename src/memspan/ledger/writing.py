"""How an event becomes part of the ledger, in an order that a kill at any moment leaves sound.

The reasoning, window by window, is in ``docs/decisions/003-ledger.md``.
"""

from __future__ import annotations

import sqlite3
import warnings
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from memspan.errors import LedgerError
from memspan.ledger import checkpoints, database, rows, runs
from memspan.ledger.checkpoints import CheckpointFolder
from memspan.ledger.events import Checkpoint, Event, Finished, Staged, Started, Stopped
from memspan.ledger.records import DONE, DamagedCheckpointWarning, Resume


class Writer:
    """Stores events and hands out where to resume.

    Args:
        db: an open ledger database.
        path: its file, for messages.
        files: its checkpoints.
    """

    def __init__(self, db: sqlite3.Connection, path: Path, files: CheckpointFolder) -> None:
        self._db, self._path, self._files = db, path, files
        self._attempts: dict[str, int] = {}

    def transaction(self) -> AbstractContextManager[None]:
        """Write as one: all of it is kept, or none."""
        return database.transaction(self._db, self._path)

    def append(self, event: Event) -> bool:
        """Store one event; see ``Ledger.append``."""
        match event:
            case Started():
                return self._start(event)
            case Checkpoint():
                stored = self._checkpoint(event)
            case Finished() | Stopped():
                stored = self._close(event)
            case _:
                return False
        if not stored and isinstance(event, Checkpoint | Finished) and isinstance(event.state, Staged):
            event.state.path.unlink(missing_ok=True)
        return stored

    def resume(self, run_id: str) -> Resume | None:
        """Return where an unfinished run goes on; see ``Ledger.resume``."""
        try:
            state = self._files.read(self._files.current(run_id))
            unusable = False
        except LedgerError:  # a folder, a loop of links, a FIFO: damaged like one with a wrong checksum
            state = None
            unusable = True
        name = "" if state is None else checkpoints.digest(state)
        with self.transaction():
            expected = runs.announced(self._db, run_id)
            step = runs.checkpoint_step(self._db, run_id, name)
            runs.rewind(self._db, run_id, 0 if step is None else step)
        if state is not None and step is not None:
            return Resume(step, state)
        if unusable or (state is not None and expected):
            self._set_aside(run_id)
        return None

    def erase(self, run_ids: Iterable[str], how: Callable[[sqlite3.Connection, str], None]) -> None:
        """First the files, then the rows: what a kill leaves in between is a run that can be erased again."""
        ids = list(run_ids)
        with database.explained(self._path):
            for run_id in ids:
                if rows.NAME.fullmatch(run_id):  # the id of a damaged row may be a path
                    self._files.remove_all(run_id)
        with self.transaction():
            for run_id in ids:
                how(self._db, run_id)
                self._attempts.pop(run_id, None)

    def erase_rows(self, numbered: Mapping[int, str]) -> None:
        """Erase runs by the numbers of their rows; see ``erase``."""
        named = [run_id for run_id in numbered.values() if rows.NAME.fullmatch(run_id)]
        self.erase(named, runs.delete)
        with self.transaction():
            self._db.executemany("DELETE FROM runs WHERE rowid = ?", [(number,) for number in numbered])

    def tidy(self) -> None:
        """Remove the checkpoints of runs that were done when their process was killed."""
        waiting = self._files.unfinished()
        with database.explained(self._path):
            done = [i for i in waiting if self._known_done(i)]
            for run_id in done:
                self._files.remove(run_id)

    def _known_done(self, run_id: str) -> bool:
        try:
            return runs.status(self._db, run_id) in DONE
        except LedgerError:  # its row is damaged; the others want to be opened
            return False

    def _start(self, event: Started) -> bool:
        with self.transaction():
            if rows.get(self._db, event.run_id).status in DONE:
                return False
            self._attempts[event.run_id] = runs.start(self._db, event)
            stale = not runs.announced(self._db, event.run_id)
        if stale:  # but the worker is ahead of its events: what is staged may be this attempt's
            self._files.remove_current(event.run_id)
        return True

    def _checkpoint(self, event: Checkpoint) -> bool:
        """First the curves, then the file: a file on the disk is never newer than the curves."""
        with self.transaction():
            if not self._welcome(event):
                return False
            row = runs.advance(self._db, event)
            if event.state:
                runs.announce(self._db, event, checkpoints.digest(event.state), row.wall_seconds)
        if event.state:
            self._files.write(self._files.current(event.run_id), event.state)
        return True

    def _close(self, event: Finished | Stopped) -> bool:
        """First the file, then the row: a run that counts as finished has its last state on the disk."""
        state = event.state if isinstance(event, Finished) else b""
        if not self._welcome(event):
            return False
        if state:
            self._files.write(self._files.final(event.run_id), state)
        with self.transaction():
            if not self._welcome(event):  # another process may have been quicker
                return False
            runs.close(self._db, event, checkpoints.digest(state) if state else "")
        self._files.remove(event.run_id)
        return True

    def _welcome(self, event: Event) -> bool:
        """Whether the run is open, the event not older than what is stored, and its worker the latest."""
        with database.explained(self._path):
            now = rows.get(self._db, event.run_id)
        latest = self._attempts.get(event.run_id, now.attempt) == now.attempt
        return now.status not in DONE and event.step >= now.step and latest

    def _set_aside(self, run_id: str) -> None:
        aside = self._files.set_aside(run_id)
        warnings.warn(
            f"the checkpoint of run {run_id} is no file or does not match its checksum; "
            f"it was moved to {str(aside)!r} and the run starts again at step 0",
            DamagedCheckpointWarning,
            stacklevel=4,
        )
