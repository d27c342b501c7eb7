"""The SQLite file itself: how it is recognised, made, checked, and written to.

``application_id`` in the file's header says that it is ours, ``user_version`` which schema it has.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from memspan.errors import ForeignLedgerError, LedgerError
from memspan.ledger import leftovers, runs, seals
from memspan.ledger.damage import CHECKED_BYTES, structural_damage
from memspan.ledger.file import LedgerFile

APPLICATION_ID = 0x6D656D73  # "mems"
BUSY_SECONDS = 30.0

SCHEMA = (
    """CREATE TABLE runs (
        id TEXT NOT NULL PRIMARY KEY,
        config TEXT NOT NULL,
        status TEXT NOT NULL DEFAULT 'planned'
            CHECK (status IN ('planned', 'running', 'finished', 'stopped')),
        reason TEXT NOT NULL DEFAULT '',
        step INTEGER NOT NULL DEFAULT 0,
        attempt INTEGER NOT NULL DEFAULT 0,
        metrics TEXT NOT NULL DEFAULT '{}',
        facts TEXT NOT NULL DEFAULT '{}',
        wall_seconds REAL NOT NULL DEFAULT 0,
        imported INTEGER NOT NULL DEFAULT 0,
        final_sha256 TEXT NOT NULL DEFAULT ''
    )""",
    # zlib closes every blob with a checksum, so a flipped byte in a curve is found when it is read.
    """CREATE TABLE curves (
        run_id TEXT NOT NULL REFERENCES runs (id),
        metric TEXT NOT NULL,
        first INTEGER NOT NULL,
        stride INTEGER NOT NULL CHECK (stride >= 1),
        count INTEGER NOT NULL CHECK (count >= 1),
        bin INTEGER NOT NULL DEFAULT 1,
        "values" BLOB NOT NULL,
        low BLOB,
        high BLOB,
        PRIMARY KEY (run_id, metric, first)
    )""",
    # One row for every checkpoint a run may have on disk; the file's own hash tells which one it is.
    """CREATE TABLE checkpoints (
        run_id TEXT NOT NULL REFERENCES runs (id),
        sha256 TEXT NOT NULL,
        step INTEGER NOT NULL,
        wall_seconds REAL NOT NULL,
        PRIMARY KEY (run_id, sha256)
    )""",
    """CREATE TABLE measurements (
        number INTEGER PRIMARY KEY,
        config TEXT NOT NULL,
        results TEXT NOT NULL,
        machine TEXT NOT NULL
    )""",
    f"PRAGMA application_id = {APPLICATION_ID}",
)
"""Schema 1; what came later stands in ``STEPS``, so that a new ledger and a migrated one are the same."""

STEPS: dict[int, tuple[str | Callable[[sqlite3.Connection], None], ...]] = {
    # A live table asks every second how far ten thousand runs are, and need not read their configs for that.
    2: ("CREATE INDEX runs_standing ON runs (id, status, step)",),
    # Every row vouches for itself, a done run for its curves, and the ledger knows its own -wal.
    3: (
        "CREATE TABLE identity (uuid TEXT NOT NULL, writes INTEGER NOT NULL DEFAULT 0)",
        "INSERT INTO identity (uuid) SELECT lower(hex(randomblob(16)))",
        "ALTER TABLE runs ADD COLUMN curves TEXT NOT NULL DEFAULT ''",
        *(f"ALTER TABLE {table} ADD COLUMN seal TEXT NOT NULL DEFAULT ''" for table in seals.TABLES),
        runs.note_all_curves,
        seals.seal_all,
    ),
}
"""Version → what makes it from the one before. Steps only add: a reader takes older ledgers."""
SCHEMA_VERSION = max(STEPS)
_SEALED = 3
_WIDTHS = {"runs": (11, 13), "curves": (9, 10), "checkpoints": (4, 5), "measurements": (4, 5)}
"""Columns of each table before and since its rows are sealed: rows are read by position."""


def connect(
    path: Path, file: LedgerFile, *, readonly: bool = False, alone: bool = False
) -> sqlite3.Connection:
    """Open the ledger's database, made when absent, and refuse what is not ours.

    Args:
        path: its file.
        file: the same, open.
        readonly: refuse to make or change anything.
        alone: nobody alive uses it, so what lies beside it was left there.

    Raises:
        ForeignLedgerError: the path holds something else.
        LedgerError: a newer schema, damage, or a place that cannot be read or written.
    """
    with explained(path):
        head = file.head()
        if head[:16] not in (b"", b"SQLite format 3\0"):  # refused before SQLite may touch it
            raise _foreign(path)
        if alone:
            leftovers.refuse_foreign(path, head)
        db = sqlite3.connect(_uri(path, readonly), uri=True, timeout=BUSY_SECONDS, isolation_level=None)
        db.text_factory = seals.text_of
        try:
            if not readonly:
                _create(db, path)
            _recognise(db, path)
            if not readonly:
                _tune(db)
            if path.stat().st_size <= CHECKED_BYTES:
                check(db, path)
        except BaseException:
            db.close()
            raise
    return db


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn whatever SQLite or the file system raises into one sentence about this ledger."""
    try:
        yield
    except (sqlite3.Error, OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        hint = next(
            (say for part, say in _HINTS.items() if part in reason.lower()), "check the file and its folder"
        )
        raise LedgerError(f"ledger {str(path)!r} cannot be used: {reason}; {hint}") from error


_HINTS = {
    "full": "free some space and start again, finished work is safe",
    "no space": "free some space and start again, finished work is safe",
    "readonly": "make the file and its folder writable, or open it with readonly=True",
    "read-only": "make the file and its folder writable, or choose another place",
    "permission": "make the file and its folder writable, or choose another place",
    "unable to open": "make the file and its folder readable and writable, or choose another place",
    "locked": "another process is writing to it; try again when that one is done",
    "closed": "open it again",
    "malformed": "move it away and import an export of it, or start anew",
}


@contextmanager
def transaction(db: sqlite3.Connection, path: Path, *, signed: bool = True) -> Iterator[None]:
    """Write as one: all of it is kept, or none. Takes the write lock at once, so it cannot fail midway.

    A signed one leaves the ledger's identity in the ``-wal``, which is known by that as the ledger's own.
    """
    with explained(path):
        db.execute("BEGIN IMMEDIATE")
        try:
            yield
            if signed:
                db.execute("UPDATE identity SET writes = writes + 1")
            commit(db)
        except BaseException:
            with suppress(sqlite3.Error):
                db.execute("ROLLBACK")
            raise


def commit(db: sqlite3.Connection) -> None:
    """End a transaction; with synchronous=FULL it is on the disk when this returns."""
    db.execute("COMMIT")


def check(db: sqlite3.Connection, path: Path) -> None:
    """Read the whole file and raise LedgerError where its structure is damaged."""
    with explained(path):
        found = structural_damage(db)
    if found:
        raise LedgerError(
            f"ledger {str(path)!r} is damaged ({found}); "
            "move it away and import an export of it, or start anew"
        )


def _uri(path: Path, readonly: bool) -> str:
    if not readonly:
        return f"{path.absolute().as_uri()}?mode=rwc"
    # A reader of a WAL file makes helper files beside it; where it may not, and no writer can be at work
    # either, SQLite must be told that the file stands still.
    still = not os.access(path.parent, os.W_OK) and not path.with_name(path.name + "-wal").exists()
    return f"{path.absolute().as_uri()}?mode=ro{'&immutable=1' if still else ''}"


def _create(db: sqlite3.Connection, path: Path) -> None:
    """Lay the tables into an empty file; two processes may try at once, the second finds them laid."""
    if not _empty(db):
        return
    with transaction(db, path, signed=False):
        if _empty(db):
            lay_tables(db)


def lay_tables(db: sqlite3.Connection) -> None:
    """Make all tables of today's schema."""
    for statement in SCHEMA:
        db.execute(statement)
    raise_schema(db, 1)


def version(db: sqlite3.Connection) -> int:
    """Return a ledger's schema version."""
    return db.execute("PRAGMA user_version").fetchone()[0]


def raise_schema(db: sqlite3.Connection, found: int) -> None:
    """Make today's schema from an older one; inside a transaction."""
    for number in range(found + 1, SCHEMA_VERSION + 1):
        for statement in STEPS[number]:
            if callable(statement):
                statement(db)
            else:
                db.execute(statement)
    db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _empty(db: sqlite3.Connection) -> bool:
    tables = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    return tables == 0 and db.execute("PRAGMA application_id").fetchone()[0] == 0


def _recognise(db: sqlite3.Connection, path: Path) -> None:
    if db.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise _foreign(path)
    found = version(db)
    if found > SCHEMA_VERSION:
        raise LedgerError(
            f"ledger {str(path)!r} has schema {found}, expected at most {SCHEMA_VERSION}; update memspan"
        )
    for table, width in _WIDTHS.items():
        columns = len(db.execute(f"PRAGMA table_info({table})").fetchall())
        if columns != width[1 if found >= _SEALED else 0]:
            raise LedgerError(
                f"ledger {str(path)!r} is damaged (table {table} has {columns} columns); "
                "move it away and import an export of it, or start anew"
            )


def _tune(db: sqlite3.Connection) -> None:
    """Readers never wait for the writer (WAL), and what is committed survives a power cut (FULL)."""
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")


def _foreign(path: Path) -> ForeignLedgerError:
    return ForeignLedgerError(
        f"{str(path)!r} is not a memspan ledger; expected a file that memspan has written, or a new name"
    )
