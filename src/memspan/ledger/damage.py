"""What SQLite finds wrong with a file: its structure, or single rows, which vouch for themselves."""

from __future__ import annotations

import re
import sqlite3
from contextlib import suppress

CHECKED_BYTES = 64 * 2**20  # a quick_check of this much takes about 0.1 s; more waits for Ledger.check
_ROW = re.compile(
    r"constraint failed in|value in \w+\.|missing from index|entries in index|non-unique entry in index"
)
"""Remarks about one row or one index; seals find such rows, and leave the others readable."""


def structural_damage(db: sqlite3.Connection) -> str:
    """Return what quick_check finds wrong with the file's structure, "" where that is sound."""
    remarks = (str(row[0]) for row in db.execute("PRAGMA quick_check(1000)"))
    lines = (line for remark in remarks for line in remark.splitlines() if line.strip(" *"))
    found = (" ".join(line.split()) for line in lines if line != "ok" and not _ROW.search(line))
    return next((line for line in found if not line.startswith("*** in database")), "")


def mend_index(db: sqlite3.Connection, *, readonly: bool) -> bool:
    """Compare the runs with their indexes, which hold copies of columns; return whether these may be trusted.

    The table's rows carry seals, so it is the table that is believed: indexes that differ are made anew.
    """
    if [row[0] for row in db.execute("PRAGMA integrity_check('runs')")] == ["ok"]:
        return True
    if not readonly:
        with suppress(sqlite3.DatabaseError):
            db.execute("REINDEX runs")
    remarks = [str(row[0]) for row in db.execute("PRAGMA integrity_check('runs')")]
    return not any("index" in remark for remark in remarks)
