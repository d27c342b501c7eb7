"""Curves in the database: one compressed float32 array for each metric and checkpoint interval."""

from __future__ import annotations

import sqlite3
import zlib
from typing import NamedTuple

import numpy as np

from memspan.errors import ArgumentError, LedgerError, UnknownNameError
from memspan.ledger.events import Piece
from memspan.ledger.records import Curve


class Block(NamedTuple):
    """One row of the table: values at first, first + stride, …, packed."""

    metric: str
    first: int
    stride: int
    length: int
    bin: int
    values: bytes
    low: bytes | None
    high: bytes | None


_COLUMNS = 'metric, first, stride, count, bin, "values", low, high'


def pack(values: np.ndarray) -> bytes:
    """Return float32 values as compressed little-endian bytes."""
    return zlib.compress(np.ascontiguousarray(values, dtype="<f4").tobytes())


def unpack(blob: bytes) -> np.ndarray:
    """Return the values that ``pack`` was given.

    Raises:
        LedgerError: the bytes are damaged.
    """
    try:
        return np.frombuffer(zlib.decompress(blob), dtype="<f4").astype(np.float32)
    except (zlib.error, ValueError) as error:
        raise LedgerError(
            f"a stored curve is damaged ({error}); delete its run and train it again"
        ) from error


def put(db: sqlite3.Connection, run_id: str, metric: str, piece: Piece, last: int) -> None:
    """Append a piece that ends at or before step ``last``; it replaces what is stored from its first on.

    Raises:
        ArgumentError: the piece is off the grid, or reaches beyond its checkpoint.
        LedgerError: steps are missing between what is stored and the piece.
    """
    values = np.asarray(piece.values)
    if values.ndim != 1 or piece.stride < 1 or piece.first < 0:
        raise ArgumentError(f"curve {metric!r}: expected values (n,), stride ≥ 1, first ≥ 0, got {piece}")
    if not len(values):
        return
    end = piece.first + (len(values) - 1) * piece.stride
    if end > last:
        raise ArgumentError(f"curve {metric!r} reaches step {end}, beyond its checkpoint at step {last}")
    keep_until(db, run_id, piece.first - 1, metric)
    _refuse_hole(db, run_id, metric, piece)
    row = Block(metric, piece.first, piece.stride, len(values), 1, pack(values), None, None)
    _insert(db, run_id, row)


def put_curve(db: sqlite3.Connection, run_id: str, metric: str, curve: Curve) -> None:
    """Store a whole curve, cut where its steps stop being regular (the last bin is often short)."""
    for part in _regular(curve.step):
        step = curve.step[part]
        stride = int(step[1] - step[0]) if len(step) > 1 else 1
        low, high = (None, None) if curve.bin == 1 else (pack(curve.low[part]), pack(curve.high[part]))
        values = pack(curve.mean[part])
        _insert(db, run_id, Block(metric, int(step[0]), stride, len(step), curve.bin, values, low, high))


def keep_until(db: sqlite3.Connection, run_id: str, step: int, metric: str | None = None) -> None:
    """Drop every value after ``step``, of one metric or of all."""
    which, names = "run_id = ? AND (? IS NULL OR metric = ?)", (run_id, metric, metric)
    across = db.execute(
        f"SELECT {_COLUMNS} FROM curves WHERE {which} AND first <= ? AND first + (count - 1) * stride > ?",
        (*names, step, step),
    ).fetchall()
    db.execute(f"DELETE FROM curves WHERE {which} AND first + (count - 1) * stride > ?", (*names, step))
    for block in map(Block._make, across):
        _insert(db, run_id, _cut(block, step))


def read(db: sqlite3.Connection, run_id: str, metric: str) -> Curve:
    """Return one curve.

    Raises:
        UnknownNameError: the run has no such curve.
    """
    rows = db.execute(
        f"SELECT {_COLUMNS} FROM curves WHERE run_id = ? AND metric = ? ORDER BY first", (run_id, metric)
    )
    blocks = [Block._make(row) for row in rows]
    if not blocks:
        raise UnknownNameError("curve", metric, names(db, run_id))
    step = np.concatenate([b.first + b.stride * np.arange(b.length, dtype=np.int64) for b in blocks])
    mean = np.concatenate([unpack(b.values) for b in blocks])
    if len(mean) != len(step):
        raise LedgerError(f"curve {metric!r} of run {run_id} is damaged; delete the run and train it again")
    if all(b.low is None for b in blocks):
        return Curve(step, mean, mean, mean, 1)
    low = np.concatenate([unpack(b.low or b.values) for b in blocks])
    high = np.concatenate([unpack(b.high or b.values) for b in blocks])
    return Curve(step, mean, low, high, max(b.bin for b in blocks))


def names(db: sqlite3.Connection, run_id: str) -> list[str]:
    """Return the names of a run's curves, sorted."""
    rows = db.execute("SELECT DISTINCT metric FROM curves WHERE run_id = ? ORDER BY metric", (run_id,))
    return [row[0] for row in rows]


def _insert(db: sqlite3.Connection, run_id: str, block: Block) -> None:
    db.execute(
        f"INSERT INTO curves (run_id, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", (run_id, *block)
    )


def _cut(block: Block, step: int) -> Block:
    length = (step - block.first) // block.stride + 1
    low, high = (None if blob is None else pack(unpack(blob)[:length]) for blob in (block.low, block.high))
    return block._replace(length=length, values=pack(unpack(block.values)[:length]), low=low, high=high)


def _refuse_hole(db: sqlite3.Connection, run_id: str, metric: str, piece: Piece) -> None:
    """A piece that does not follow on comes from a worker the ledger has lost track of."""
    end, stride = db.execute(
        "SELECT first + (count - 1) * stride, stride FROM curves WHERE run_id = ? AND metric = ? "
        "ORDER BY first DESC LIMIT 1",
        (run_id, metric),
    ).fetchone() or (piece.first, 1)
    if piece.first > end + max(stride, piece.stride):
        raise LedgerError(
            f"curve {metric!r} of run {run_id} ends at step {end}, the next piece begins at {piece.first}; "
            "is another process training this run? stop one of them, the other resumes"
        )


def _regular(step: np.ndarray) -> list[slice]:
    """Return the fewest slices, taken greedily, within which steps are equally far apart."""
    parts, start = [], 0
    gaps = np.diff(step)
    while start < len(step):
        stop = start + 1
        while stop < len(step) and gaps[stop - 1] == gaps[start]:
            stop += 1
        parts.append(slice(start, stop))
        start = stop
    return parts
