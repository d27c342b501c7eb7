"""An older ledger becomes one of today, and a copy of it as it was stays beside it."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from memspan.ledger import database
from memspan.ledger.checkpoints import sync_folder


def migrate(db: sqlite3.Connection, path: Path) -> None:
    """Raise a ledger to today's schema; does nothing when it has it.

    The copy is ``<ledger>.schema-<version>``, on the disk before the first change. All happens under the
    write lock, in one transaction: a kill at any moment leaves the old schema or the new, and of two
    processes that open an old ledger at once, the second finds it done.

    Raises:
        LedgerError: no room for the copy, or a place that cannot be written; the ledger is as it was.
    """
    if database.version(db) == database.SCHEMA_VERSION:
        return
    with database.transaction(db, path, signed=False):
        found = database.version(db)
        if found < database.SCHEMA_VERSION:
            _copy(path, path.with_name(f"{path.name}.schema-{found}"))
            database.raise_schema(db, found)
    with suppress(sqlite3.Error):  # readers that look on delay it, no more
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _copy(path: Path, target: Path) -> None:
    """Write what is committed as one file, whole or not at all; SQLite sees to what lies in the WAL."""
    fresh = target.with_name(target.name + ".tmp")
    fresh.unlink(missing_ok=True)
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as source:
            source.execute("VACUUM INTO ?", (str(fresh),))
        with fresh.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(fresh, target)
        sync_folder(target.parent)
    finally:
        fresh.unlink(missing_ok=True)
