"""The ledger's file itself: which file a path means, this process's handle to it, and locks on its bytes.

A ledger is one inode, whatever it is called: symbolic links, hard links, bind mounts and relative paths lead
to the same locks. They lie far beyond the file's end, where SQLite has none, and belong to an open file
description (OFD): closing another handle leaves them alone, and they are gone with the process.

Closing *any* handle to a file ends all POSIX locks that the process has on it, and SQLite's are of that kind.
A handle is therefore kept until the last ledger of the process that uses the file is closed.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from memspan.errors import ForeignLedgerError, LedgerError
from memspan.ledger.locks import conflict, control, has_ofd

try:
    import fcntl
except ImportError:  # not POSIX: locks count in this process only
    fcntl = None  # type: ignore[assignment]

_RUNS, _NAMES, _RANGE = 2**60, 2**61, 2**56
"""Where the bytes of runs begin, where those of names do, and how many there are of each."""
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe (FIFO)",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
Key = tuple[int, int]


def run_byte(run_id: str) -> int:
    """Return the byte that stands for a run; two runs of a ledger never share one of 2⁵⁶ in practice."""
    return _RUNS + _hashed(run_id.encode(errors="surrogateescape"))


def name_byte(path: Path) -> int:
    """Return the byte that stands for a name: an entry in a folder, wherever that is mounted."""
    return _NAMES + _hashed(f"{os.stat(path.parent).st_ino}/{path.name}".encode(errors="surrogateescape"))


def _hashed(text: bytes) -> int:
    return int.from_bytes(hashlib.sha256(text).digest()[:7])


def refuse_special(path: Path, mode: int) -> None:
    """Refuse what is no regular file, before it is opened: opening a FIFO would wait for ever.

    Raises:
        ForeignLedgerError: a folder, FIFO, socket or device.
    """
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "no regular file")
        raise ForeignLedgerError(
            f"ledger {str(path)!r} is {kind}; expected a file, for instance {path.parent / 'runs.ledger'}"
        )


@dataclass(eq=False)
class LedgerFile:
    """What this process has open of one file; see ``attach``.

    Args:
        key: device and inode.
        path: the name under which it was opened first.
        reader: the first handle; names are locked through it.
        writer: a handle that may write; runs are locked through it.
        handles: all of them; empty once closed.
        users: how many objects use it; the last one closes it.
        taken: the bytes that this process has locked for itself.
        names: the bytes of the names in use here, with the number of their users.
    """

    key: Key
    path: Path
    reader: int
    writer: int | None
    handles: list[int]
    users: int = 1
    taken: set[int] = field(default_factory=set)
    names: Counter[int] = field(default_factory=Counter)
    _beside: int | None = None  # handle of ``<ledger>-holds``, where there are no OFD locks

    def __post_init__(self) -> None:
        self._ofd = has_ofd(self.reader)

    @property
    def open(self) -> bool:
        """Whether its handles are; a forked child has none of its parent's."""
        return bool(self.handles)

    def head(self) -> bytes:
        """Return the first 20 bytes: SQLite's mark, the size of its pages, and how it keeps its journal."""
        os.lseek(self.reader, 0, os.SEEK_SET)
        return os.read(self.reader, 20)

    def lock(self, byte: int) -> bool:
        """Lock a byte for this process, and return whether it is ours now.

        Raises:
            LedgerError: the file system has no locks.
        """
        with _guard:
            if byte in self.taken or not self._try(byte):
                return False
            self.taken.add(byte)
            return True

    def unlock(self, byte: int) -> None:
        """Let go of a byte that ``lock`` has locked."""
        with _guard:
            if byte in self.taken:
                self.taken.remove(byte)
                if self._ofd:
                    control("F_OFD_SETLK", self._locker, "F_UNLCK", byte)
                elif fcntl and self._beside is not None:
                    fcntl.lockf(self._beside, fcntl.LOCK_UN, 1, byte - _RUNS)

    def locked(self, byte: int) -> bool:
        """Return whether any living process has locked a byte, this one included; disturbs nobody."""
        with _guard:
            if byte in self.taken:
                return True
            if self._ofd:
                return conflict(self._locker, byte, 1)
            return self._locked_beside(byte)

    def enter(self, path: Path) -> None:
        """Use the file under a name, unless somebody alive uses it under another.

        SQLite names its ``-wal`` after the name: under two names at once it would damage the file.

        Raises:
            LedgerError: it is in use under another name.
        """
        byte = name_byte(path)
        with _guard:
            if (
                self._ofd and not self.names
            ):  # first the lock, then the look: of two who come at once, one sees
                control("F_OFD_SETLK", self.reader, "F_RDLCK", byte)
            if set(self.names) - {byte} or self._named_elsewhere(byte):
                if self._ofd and not self.names:
                    control("F_OFD_SETLK", self.reader, "F_UNLCK", byte)
                raise LedgerError(
                    f"ledger {str(path)!r} is in use under another name, a hard link in another folder; "
                    "use the other name, or a symbolic link to it"
                )
            self.names[byte] += 1

    def leave(self, byte: int) -> None:
        """Use the file no longer under the name that ``name_byte`` gave this byte."""
        with _guard:
            self.names[byte] -= 1
            if self.names[byte] <= 0:
                del self.names[byte]
                if self._ofd and self.open:
                    control("F_OFD_SETLK", self.reader, "F_UNLCK", byte)

    def used_under(self, path: Path) -> bool:
        """Return whether somebody alive uses the file under this name."""
        byte = name_byte(path)
        with _guard:
            return byte in self.names or (self._ofd and conflict(self.reader, byte, 1))

    def alone(self) -> bool:
        """Return whether nobody alive, this process included, has entered; False if that is unknown."""
        with _guard:
            return self._ofd and not self.names and not conflict(self.reader, _NAMES, _RANGE)

    def detach(self) -> None:
        """Use the file no longer; the last user closes it."""
        with _guard:
            self.users -= 1
            if self.users == 0 and self.open:
                self._close()
                del _files[self.key]

    def _close(self) -> None:
        for handle in (*self.handles, *(() if self._beside is None else (self._beside,))):
            os.close(handle)
        self.handles, self._beside = [], None

    @property
    def _locker(self) -> int:
        return self.reader if self.writer is None else self.writer

    def _named_elsewhere(self, byte: int) -> bool:
        gaps = ((_NAMES, byte - _NAMES), (byte + 1, _NAMES + _RANGE - byte - 1))
        return self._ofd and any(length and conflict(self.reader, start, length) for start, length in gaps)

    def _try(self, byte: int) -> bool:
        try:
            if self._ofd:
                control("F_OFD_SETLK", self._locker, "F_WRLCK", byte)
            elif fcntl:
                if self._beside is None:
                    self._beside = os.open(f"{self.path}-holds", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
                fcntl.lockf(self._beside, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte - _RUNS)
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EACCES):  # POSIX allows either
                return False
            raise LedgerError(
                f"runs cannot be held: {error.strerror}; keep the ledger on a disk that has POSIX locks"
            ) from error
        return True

    def _locked_beside(self, byte: int) -> bool:
        """Without OFD locks a shared lock is tried; the handle stays open, as closing it would unlock."""
        beside = f"{self.path}-holds"
        if fcntl is None or (self._beside is None and not os.path.exists(beside)):
            return False
        if self._beside is None:
            self._beside = os.open(beside, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.lockf(self._beside, fcntl.LOCK_SH | fcntl.LOCK_NB, 1, byte - _RUNS)
        except OSError:
            return True
        fcntl.lockf(self._beside, fcntl.LOCK_UN, 1, byte - _RUNS)
        return False


def attach(path: Path, *, write: bool, create: bool = False) -> LedgerFile:
    """Return this process's one view of a file, opened when it is the first; the caller detaches it.

    Raises:
        ForeignLedgerError: no regular file.
        OSError: it cannot be opened.
    """
    with _guard:
        try:
            about = os.stat(path)
        except FileNotFoundError:
            if not create:
                raise
        else:
            refuse_special(path, about.st_mode)
            known = _files.get((about.st_dev, about.st_ino))
            if known and (known.writer is not None or not write):
                known.users += 1
                return known
        flags = os.O_RDWR if write else os.O_RDONLY
        flags |= os.O_CREAT if create else 0
        handle = os.open(path, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0), 0o666)
        about = os.fstat(handle)
        key = (about.st_dev, about.st_ino)
        if key not in _files:
            _files[key] = LedgerFile(key, path, handle, handle if write else None, [handle])
            return _files[key]
        file = _files[key]
        file.users += 1
        file.handles.append(handle)
        if write:
            file.writer = handle
        return file


_files: dict[Key, LedgerFile] = {}
_guard = threading.RLock()


def _forget() -> None:
    """A forked child holds nothing: it closes its parent's handles, which would keep the locks alive."""
    global _guard
    _guard = threading.RLock()
    for file in _files.values():
        file._close()
    _files.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=lambda: _guard.acquire(), after_in_parent=lambda: _guard.release(), after_in_child=_forget
    )
