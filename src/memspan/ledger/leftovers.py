"""Files that SQLite finds beside a ledger and would replay into it: they must be the ledger's own.

A ledger that was killed leaves a ``-wal`` with what was committed last; that is wanted. But SQLite asks no
``-wal`` or ``-journal`` whose it is: one that stayed behind when the ledger was moved, restored or
replaced would be mixed into it without a word.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

from memspan.errors import LedgerError
from memspan.ledger.damage import CHECKED_BYTES, structural_damage

_WAL_MODE = 2  # byte 18 of a database whose changes go to a -wal
_JOURNAL_PAGES = slice(16, 20)  # of a journal: how many pages the database had before


def refuse_foreign(path: Path, head: bytes) -> None:
    """Refuse to open a ledger beside which something lies that is not its own; nothing is changed.

    Only for a ledger that nobody alive uses: what lies beside it is then what somebody has left.

    Args:
        path: the ledger, which may not exist yet.
        head: its first bytes.

    Raises:
        LedgerError: a foreign file, with what to do about it.
    """
    sizes = {kind: _size(_beside(path, kind)) for kind in ("-wal", "-journal", "-shm")}
    if sizes["-journal"] and _foreign_journal(_beside(path, "-journal"), head):
        raise _refusal(path, "-journal", "a ledger in use leaves no such file")
    if sizes["-wal"] > 0:
        if not head:
            raise _refusal(path, "-wal", "the ledger itself is empty")
        if reason := _foreign_wal(path):
            raise _refusal(path, "-wal", reason)


def _beside(path: Path, kind: str) -> Path:
    return path.with_name(path.name + kind)


def _size(path: Path) -> int:
    try:
        about = os.lstat(path)
    except FileNotFoundError:
        return 0
    if not stat.S_ISREG(about.st_mode):
        raise LedgerError(f"{str(path)!r} is no regular file, and SQLite needs that name; move it away")
    return about.st_size


def _foreign_journal(journal: Path, head: bytes) -> bool:
    """A ledger has a journal only while it is laid out, in a file that was empty."""
    content = journal.read_bytes()[:20]
    if not content.strip(b"\0"):  # a journal that was done with
        return False
    in_wal_mode = len(head) > 18 and head[18] == _WAL_MODE
    return in_wal_mode or int.from_bytes(content[_JOURNAL_PAGES]) != 0


def _foreign_wal(path: Path) -> str:
    """Return why a ``-wal`` cannot be the ledger's, "" where nothing speaks against it."""
    alone = _Glance(path, "immutable=1")
    joint = _Glance(path, "mode=ro")
    if alone.error or (joint.error and not joint.damaged):
        return ""  # opening it says what is wrong
    if (joint.damaged or not joint.whole) and alone.whole:
        return "with it the ledger is damaged, without it the ledger is whole"
    if joint.application != alone.application:
        return "it is from another program"
    if alone.identity and joint.identity != alone.identity:
        return "it belongs to another ledger"
    if alone.identity and joint.writes < alone.writes:
        return "the ledger has changed since it was written"
    # Ledgers of older schemas have no identity, but a ledger keeps its runs.
    if not alone.identity and alone.runs and not alone.runs & joint.runs:
        return "it belongs to another ledger"
    return ""


class _Glance:
    """What a ledger says of itself when it is read without its ``-wal`` (immutable) or with it."""

    def __init__(self, path: Path, how: str) -> None:
        self.error = ""
        self.damaged = False
        self.whole = True
        self.application = 0
        self.identity = ""
        self.writes = 0
        self.runs: set[str] = set()
        try:
            with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro&{how}", uri=True)) as db:
                self._read(db, small=path.stat().st_size <= CHECKED_BYTES)
        except sqlite3.DatabaseError as error:
            self.error = str(error)
            self.damaged = "malformed" in self.error or "not a database" in self.error

    def _read(self, db: sqlite3.Connection, *, small: bool) -> None:
        db.text_factory = bytes
        self.application = db.execute("PRAGMA application_id").fetchone()[0]
        tables = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if b"identity" in tables:
            identity, self.writes = db.execute("SELECT uuid, writes FROM identity").fetchone()
            self.identity = str(identity)
        elif b"runs" in tables:
            self.runs = {str(row[0]) for row in db.execute("SELECT id FROM runs")}
        self.whole = not small or not structural_damage(db)


def _refusal(path: Path, kind: str, reason: str) -> LedgerError:
    return LedgerError(
        f"{str(_beside(path, kind))!r} lies beside the ledger and is not its own: {reason}; "
        "move that file away, or bring back the ledger it belongs to"
    )
