"""The one path under which a ledger is used, whatever path leads to it."""

from __future__ import annotations

import os
from pathlib import Path

from memspan.errors import LedgerError
from memspan.ledger.file import LedgerFile, attach, name_byte, refuse_special


def canonical(path: Path) -> Path:
    """Return the one path under which a ledger is used, however it is reached.

    Symbolic links are followed. Of the hard links in one folder it is the one in use, else the one that has a
    ``-wal`` beside it, else the first by name.

    Raises:
        LedgerError: several of them have a ``-wal``.
        ForeignLedgerError: no regular file.
    """
    real = Path(os.path.realpath(path))
    try:
        about = os.stat(real)
    except OSError:  # whoever opens it says so
        return real
    refuse_special(path, about.st_mode)
    if about.st_nlink < 2:
        return real
    with os.scandir(real.parent) as entries:
        links = sorted(
            real.parent / e.name
            for e in entries
            if e.inode() == about.st_ino and e.is_file(follow_symlinks=False)
        )
    file = attach(real, write=False)
    try:
        used = [link for link in links if file.used_under(link)]
    finally:
        file.detach()
    changed = [link for link in links if _size(link.with_name(link.name + "-wal"))]
    if not used and len(changed) > 1:
        raise LedgerError(
            f"{' and '.join(repr(str(link)) for link in changed)} are names of one ledger, and each has "
            "changes of its own in a -wal file; move the -wal files of all names but one away"
        )
    return (used or changed or links or [real])[0]


def entered(path: Path, readonly: bool) -> tuple[LedgerFile, int, bool]:
    """Open and enter a ledger's file; return it, the byte of its name, and whether nobody else uses it.

    Raises:
        LedgerError: there is none to read, or it is in use under another name.
        OSError: it cannot be opened.
    """
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


def _size(path: Path) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
