"""Checksums of rows: every row says what it should hold, so that one flipped bit in it is found on reading.

They find damage, not forgery: whoever writes a row can write its seal. What a row says is therefore also
checked by type and range, wherever it comes from.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable
from typing import Any

TABLES = ("runs", "curves", "checkpoints", "measurements")


def seal(values: Iterable[Any]) -> str:
    """Return the checksum of a row's values: their types count, 1 is not "1"."""
    columns = tuple(values)
    if bytes in map(type, columns):
        columns = tuple(map(_plain, columns))
    # ascii(), not repr(): which letters repr() escapes depends on Python's version.
    return hashlib.blake2b(ascii(columns).encode(), digest_size=16).hexdigest()


def _plain(value: Any) -> Any:
    return hashlib.blake2b(value, digest_size=16).digest() if isinstance(value, bytes) else value


def text_of(raw: bytes) -> str:
    """Return stored text; where a flipped bit has left no valid UTF-8, so that other rows stay readable."""
    return raw.decode("utf-8", "surrogateescape")


def seal_all(db: sqlite3.Connection) -> None:
    """Seal every row of a ledger that had no seals before."""
    for table in TABLES:
        for (number,) in db.execute(f"SELECT rowid FROM {table}").fetchall():
            *values, _ = db.execute(f"SELECT * FROM {table} WHERE rowid = ?", (number,)).fetchone()
            db.execute(f"UPDATE {table} SET seal = ? WHERE rowid = ?", (seal(values), number))
