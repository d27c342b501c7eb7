"""Curves in the database: one compressed float32 array for each metric and checkpoint interval."""

from __future__ import annotations

import sqlite3
import zlib
from typing import Any, NamedTuple

import numpy as np

from memspan.errors import ArgumentError, LedgerError, UnknownNameError
from memspan.ledger.events import Piece
from memspan.ledger.records import Curve
from memspan.ledger.seals import seal


class Block(NamedTuple):
    """One row of the table, in its order: values at first, first + stride, …, packed."""

    run_id: str
    metric: str
    first: int
    stride: int
    length: int
    bin: int
    values: bytes
    low: bytes | None
    high: bytes | None
    seal: str | None = None

    @property
    def end(self) -> int:
        """The step of the last value."""
        return self.first + (self.length - 1) * self.stride


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
    except (zlib.error, ValueError, TypeError) as error:
        raise LedgerError(
            f"a stored curve is damaged ({error}); delete its run and train it again"
        ) from error


def put(db: sqlite3.Connection, run_id: str, metric: str, piece: Piece, last: int) -> None:
    """Append a piece that ends at or before step ``last`` and begins where what is stored ends.

    What is stored already, value for value, changes nothing: an event may come twice.

    Raises:
        ArgumentError: the piece is off the grid, or reaches beyond its checkpoint.
        LedgerError: steps are missing between what is stored and the piece, or both tell of one step.
    """
    values = np.asarray(piece.values)
    if values.ndim != 1 or piece.stride < 1 or piece.first < 0:
        raise ArgumentError(f"curve {metric!r}: expected values (n,), stride ≥ 1, first ≥ 0, got {piece}")
    if not len(values):
        return
    end = piece.first + (len(values) - 1) * piece.stride
    if end > last:
        raise ArgumentError(f"curve {metric!r} reaches step {end}, beyond its checkpoint at step {last}")
    latest = _latest(db, run_id, metric)
    if latest and piece.first <= latest.end:
        known = min(len(values), (latest.end - piece.first) // piece.stride + 1)
        _refuse_other_values(piece, known, _blocks(db, run_id, metric))
        piece = Piece(piece.first + known * piece.stride, piece.stride, values[known:])
    _refuse_hole(run_id, metric, piece, latest)
    if len(piece.values):
        row = (metric, piece.first, piece.stride, len(piece.values), 1, pack(piece.values), None, None)
        _insert(db, Block(run_id, *row))


def put_curve(db: sqlite3.Connection, run_id: str, metric: str, curve: Curve) -> None:
    """Store a whole curve, cut where its steps stop being regular (the last bin is often short)."""
    for part in _regular(curve.step):
        step = curve.step[part]
        stride = int(step[1] - step[0]) if len(step) > 1 else 1
        low, high = (None, None) if curve.bin == 1 else (pack(curve.low[part]), pack(curve.high[part]))
        values = pack(curve.mean[part])
        _insert(db, Block(run_id, metric, int(step[0]), stride, len(step), curve.bin, values, low, high))


def keep_until(db: sqlite3.Connection, run_id: str, step: int) -> None:
    """Drop every value after ``step``, of all metrics."""
    beyond = "run_id = ? AND first + (count - 1) * stride > ?"
    across = db.execute(
        f"SELECT * FROM curves WHERE {beyond} AND first <= ?", (run_id, step, step)
    ).fetchall()
    db.execute(f"DELETE FROM curves WHERE {beyond}", (run_id, step))
    for block in across:
        _insert(db, _cut(_vouched(block), step))


def read(db: sqlite3.Connection, run_id: str, metric: str) -> Curve:
    """Return one curve.

    Raises:
        UnknownNameError: the run has no such curve.
        LedgerError: it is damaged, or values are missing within it.
    """
    blocks = _blocks(db, run_id, metric)
    if not blocks:
        raise UnknownNameError("curve", metric, names(db, run_id))
    step = np.concatenate([b.first + b.stride * np.arange(b.length, dtype=np.int64) for b in blocks])
    mean = np.concatenate([unpack(b.values) for b in blocks])
    if len(mean) != len(step) or (np.diff(step) <= 0).any():
        raise damaged(run_id, metric)
    if all(b.low is None for b in blocks):
        return Curve(step, mean, mean, mean, 1)
    low = np.concatenate([unpack(b.low or b.values) for b in blocks])
    high = np.concatenate([unpack(b.high or b.values) for b in blocks])
    return Curve(step, mean, low, high, max(b.bin for b in blocks))


def names(db: sqlite3.Connection, run_id: str) -> list[str]:
    """Return the names of a run's curves, sorted."""
    rows = db.execute("SELECT DISTINCT metric FROM curves WHERE run_id = ? ORDER BY metric", (run_id,))
    return [row[0] for row in rows]


def lengths(db: sqlite3.Connection, run_id: str) -> dict[str, int]:
    """Return how many values each curve of a run has."""
    query = "SELECT metric, sum(count) FROM curves WHERE run_id = ? GROUP BY metric"
    return dict(db.execute(query, (run_id,)).fetchall())


def refuse_incomplete(db: sqlite3.Connection, run_id: str, step: int) -> None:
    """Refuse to call a run finished unless every curve has a value for each of its grid's steps .

    Raises:
        LedgerError: a curve begins late, has a hole, or ends before ``step``.
    """
    query = "SELECT metric, first, stride, count FROM curves WHERE run_id = ? ORDER BY metric, first"
    reached: dict[str, tuple[int, int]] = {}
    for metric, first, stride, count in db.execute(query, (run_id,)).fetchall():
        end, before = reached.get(metric, (0, stride))
        if first > end + max(stride, before):
            raise _incomplete(run_id, metric, f"has nothing between steps {end} and {first}")
        reached[metric] = (first + (count - 1) * stride, stride)
    for metric, (end, stride) in reached.items():
        if end + stride <= step:
            raise _incomplete(run_id, metric, f"ends at step {end}")


def _blocks(db: sqlite3.Connection, run_id: str, metric: str) -> list[Block]:
    rows = db.execute("SELECT * FROM curves WHERE run_id = ? AND metric = ? ORDER BY first", (run_id, metric))
    return [_vouched(row) for row in rows.fetchall()]


def _latest(db: sqlite3.Connection, run_id: str, metric: str) -> Block | None:
    query = "SELECT * FROM curves WHERE run_id = ? AND metric = ? ORDER BY first DESC LIMIT 1"
    row = db.execute(query, (run_id, metric)).fetchone()
    return None if row is None else _vouched(row)


def _vouched(row: tuple[Any, ...]) -> Block:
    """Return a row that matches its seal; ledgers of older schemas have none."""
    block = Block(*row)
    numbers = (block.first, block.stride, block.length, block.bin)
    sound = (
        all(type(n) is int for n in numbers) and block.stride >= 1 and block.length >= 1 and block.first >= 0
    )
    if not sound or block.seal not in (None, seal(block[:-1])):
        raise damaged(block.run_id, block.metric)
    return block


def _insert(db: sqlite3.Connection, block: Block) -> None:
    marks = ", ".join("?" * len(block))
    db.execute(f"INSERT INTO curves VALUES ({marks})", (*block[:-1], seal(block[:-1])))


def _cut(block: Block, step: int) -> Block:
    length = (step - block.first) // block.stride + 1
    low, high = (None if blob is None else pack(unpack(blob)[:length]) for blob in (block.low, block.high))
    return block._replace(length=length, values=pack(unpack(block.values)[:length]), low=low, high=high)


def _refuse_hole(run_id: str, metric: str, piece: Piece, latest: Block | None) -> None:
    """A piece that does not follow on comes from a worker the ledger has lost track of."""
    end, stride = (latest.end, latest.stride) if latest else (0, piece.stride)
    if piece.first > end + max(stride, piece.stride):
        raise LedgerError(
            f"curve {metric!r} of run {run_id} ends at step {end}, the next piece begins at {piece.first}; "
            "is another process training this run? stop one of them, the other resumes"
        )


def _refuse_other_values(piece: Piece, known: int, blocks: list[Block]) -> None:
    """The first ``known`` values of a piece must be those that are stored for their steps."""
    stored: dict[int, np.float32] = {}
    for block in blocks:
        if block.end >= piece.first:
            stored |= zip(range(block.first, block.end + 1, block.stride), unpack(block.values), strict=True)
    values = np.asarray(piece.values[:known], np.float32)
    held = [stored.get(piece.first + i * piece.stride, np.float32(np.nan)) for i in range(len(values))]
    if np.array(held, np.float32).tobytes() != values.tobytes():
        raise LedgerError(
            f"curve {blocks[-1].metric!r} of run {blocks[-1].run_id} is stored up to step {blocks[-1].end}, "
            f"another piece begins at {piece.first}; "
            "is another process training this run? stop one of them, the other resumes"
        )


def damaged(run_id: object, metric: object) -> LedgerError:
    """Return the error about a curve that cannot be believed."""
    return LedgerError(
        f"curve {metric!a} of run {run_id!a} is damaged; delete the run (memspan runs delete) "
        "and train or import it again"
    )


def _incomplete(run_id: str, metric: str, what: str) -> LedgerError:
    return LedgerError(
        f"curve {metric!r} of run {run_id} {what}, so the run is not finished; "
        "train it again: memspan runs retry forgets what it has"
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
