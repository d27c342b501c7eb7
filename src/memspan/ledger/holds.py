"""Who trains a run right now: a lock of the operating system a run, gone with the process that took it.

A run has one byte in the file ``<ledger>-holds``; the byte is locked, never written. A process that is
killed, or a machine that is switched off, lets go of everything by that alone, so no clock is asked and
nothing is left to clean up. POSIX locks belong to a process and vanish when it closes *any* handle to
the file, therefore all ledgers of a process share one handle a file.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from memspan.errors import LedgerError

try:
    import fcntl
except ImportError:  # not POSIX: runs are held against this process only
    fcntl = None  # type: ignore[assignment]


@dataclass
class _File:
    """The one handle of this process to a file of locks, and the runs it holds through it."""

    handle: int
    taken: set[str] = field(default_factory=set)


_files: dict[Path, _File] = {}
_guard = threading.Lock()


class Holds:
    """The runs that one ``Ledger`` object keeps all others from training.

    Args:
        ledger: the ledger's file.

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

    def __init__(self, ledger: Path) -> None:
        self._path = ledger.absolute().with_name(ledger.name + "-holds")
        self._mine: set[str] = set()

    def take(self, run_id: str) -> bool:
        """Hold a run, and return whether it is ours now; False: somebody alive holds it.

        Raises:
            LedgerError: the folder cannot be written.
        """
        with _guard:
            file = self._opened()
            free = run_id not in file.taken and _lock(file.handle, run_id)
            if free:
                file.taken.add(run_id)
                self._mine.add(run_id)
            self._close_if_unused(file)
        return free

    def release(self, run_id: str) -> None:
        """Let go of a run; one that is not ours stays as it is."""
        with _guard:
            if run_id not in self._mine:
                return
            self._mine.remove(run_id)
            file = _files[self._path]
            file.taken.remove(run_id)
            _unlock(file.handle, run_id)
            self._close_if_unused(file)

    def release_all(self) -> None:
        """Let go of everything this object holds."""
        for run_id in list(self._mine):
            self.release(run_id)

    def living(self, run_ids: Iterable[str]) -> set[str]:
        """Return those runs that some living process holds, this one included."""
        with _guard:
            if not self._path.exists():
                return set()
            known = _files.get(self._path)
            handle = known.handle if known else os.open(self._path, os.O_RDONLY)
            taken = known.taken if known else set()
            try:
                return {run_id for run_id in run_ids if run_id in taken or not _free(handle, run_id)}
            finally:
                if known is None:
                    os.close(handle)

    def _opened(self) -> _File:
        if self._path not in _files:
            try:
                handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
            except OSError as error:
                raise LedgerError(
                    f"{str(self._path)!r} cannot be opened: {error.strerror}; make its folder writable"
                ) from error
            _files[self._path] = _File(handle)
        return _files[self._path]

    def _close_if_unused(self, file: _File) -> None:
        if not file.taken:
            os.close(_files.pop(self._path).handle)


def _place(run_id: str) -> int:
    """Return the byte that stands for a run; 56 bits make a meeting of two runs of a ledger unthinkable."""
    return int.from_bytes(hashlib.sha256(run_id.encode()).digest()[:7])


def _lock(handle: int, run_id: str) -> bool:
    return _try(handle, run_id, fcntl.LOCK_EX) if fcntl else True


def _free(handle: int, run_id: str) -> bool:
    """Whether nobody else holds a run: a shared lock disturbs no other onlooker."""
    if not fcntl or not _try(handle, run_id, fcntl.LOCK_SH):
        return not fcntl
    _unlock(handle, run_id)
    return True


def _try(handle: int, run_id: str, kind: int) -> bool:
    try:
        fcntl.lockf(handle, kind | fcntl.LOCK_NB, 1, _place(run_id))
    except (BlockingIOError, PermissionError):  # POSIX allows either
        return False
    except OSError as error:
        raise LedgerError(
            f"runs cannot be held: {error.strerror}; keep the ledger on a disk that has POSIX locks"
        ) from error
    return True


def _unlock(handle: int, run_id: str) -> None:
    if fcntl:
        fcntl.lockf(handle, fcntl.LOCK_UN, 1, _place(run_id))
