"""Who trains a run right now: a lock of the operating system a run, gone with the process that took it.

A run has one byte of the ledger's file, far beyond its end; the byte is locked, never written. A process that
is killed, or a machine that is switched off, lets go of everything by that alone, so no clock is asked and
nothing is left to clean up. See ``memspan.ledger.file`` for what these locks are.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from memspan.errors import LedgerError
from memspan.ledger.file import LedgerFile, attach, run_byte
from memspan.ledger.names import canonical


class Holds:
    """The runs that one ``Ledger`` object keeps all others from training.

    Args:
        ledger: a path of the ledger's file.
        file: the file that an open ledger uses.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     mine, other = Holds(Path(folder, "runs")), Holds(Path(folder, "runs"))
        ...     first, second = mine.take("a"), other.take("a")
        ...     mine.release_all()
        ...     print(first, second, other.take("a"))
        ...     other.release_all()
        True False True
    """

    def __init__(self, ledger: Path, file: LedgerFile | None = None) -> None:
        self._path = canonical(ledger)
        self._owner = file
        self._file: LedgerFile | None = None  # while anything is held
        self._mine: set[str] = set()

    def take(self, run_id: str) -> bool:
        """Hold a run, and return whether it is ours now; False: somebody alive holds it.

        Raises:
            LedgerError: the file cannot be written.
        """
        self._forget_parent()
        if self._file is None:
            self._file = self._attached(write=True)
        free = self._file.lock(run_byte(run_id))
        if free:
            self._mine.add(run_id)
        self._detach_if_unused()
        return free

    def release(self, run_id: str) -> None:
        """Let go of a run; one that is not ours stays as it is."""
        self._forget_parent()
        if run_id in self._mine and self._file is not None:
            self._mine.remove(run_id)
            self._file.unlock(run_byte(run_id))
            self._detach_if_unused()

    def release_all(self) -> None:
        """Let go of everything this object holds."""
        for run_id in list(self._mine):
            self.release(run_id)

    def living(self, run_ids: Iterable[str]) -> set[str]:
        """Return those runs that some living process holds, this one included."""
        self._forget_parent()
        if not self._path.exists():
            return set()
        file = self._attached(write=False)
        try:
            return {run_id for run_id in run_ids if file.locked(run_byte(run_id))}
        finally:
            file.detach()

    def _attached(self, *, write: bool) -> LedgerFile:
        try:
            file = attach(self._path, write=write, create=write and self._owner is None)
        except OSError as error:
            raise LedgerError(
                f"{str(self._path)!r} cannot be opened: {error.strerror}; make it and its folder writable"
            ) from error
        if self._owner is not None and file is not self._owner:
            file.detach()
            raise LedgerError(
                f"{str(self._path)!r} was replaced by another file; close the ledger and open it again"
            )
        return file

    def _detach_if_unused(self) -> None:
        if self._file is not None and not self._mine:
            self._file.detach()
            self._file = None

    def _forget_parent(self) -> None:
        """In a forked child, what the parent holds is the parent's."""
        if self._file is not None and not self._file.open:
            self._file = None
            self._mine.clear()
        if self._owner is not None and not self._owner.open:
            self._owner = None
