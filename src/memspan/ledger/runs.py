"""The table of runs: what each kind of event changes in it. Every function runs inside a transaction."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

from memspan.errors import ArgumentError
from memspan.ledger import curves, rows
from memspan.ledger.events import Checkpoint, Finished, Started, Stopped
from memspan.ledger.records import DONE, DoneRun
from memspan.ledger.rows import Row
from memspan.ledger.seals import seal

Fate = Literal["added", "already", "refused"]


def plan(db: sqlite3.Connection, run_id: str, config: Mapping[str, Any]) -> Row:
    """Add a planned run; a known one takes the config's present spelling, which has the same hash.

    Raises:
        ArgumentError: an id that could not be a file name.
        LedgerError: the run is known, and its row is damaged.
    """
    if not rows.NAME.fullmatch(run_id):
        raise ArgumentError(f"run id {run_id!r}: expected 1 to 64 letters, digits, - or _")
    spelled = rows.text(config)
    row = rows.find(db, run_id)
    if row is None:
        row = Row(run_id, spelled)
        rows.insert(db, row)
    elif row.config != spelled:
        row = rows.update(db, row, config=spelled)
    return row


def start(db: sqlite3.Connection, event: Started) -> int:
    """Begin an attempt at ``event.step``, drop what was recorded after it, and return its number."""
    row = rewind(db, event.run_id, event.step)
    row = rows.update(db, row, status="running", attempt=row.attempt + 1, facts=rows.text(event.facts))
    return row.attempt


def advance(db: sqlite3.Connection, event: Checkpoint | Finished | Stopped) -> Row:
    """Store an event's curves and its step, and return the run's row as it is now."""
    row = rows.get(db, event.run_id)
    for metric, piece in event.curves.items():
        curves.put(db, event.run_id, metric, piece, event.step)
    return rows.update(db, row, step=event.step, wall_seconds=row.wall_seconds + event.wall_seconds)


def announce(db: sqlite3.Connection, event: Checkpoint, sha256: str, seconds: float) -> None:
    """Note which checkpoint file is about to be written; until it is, the one before stays valid."""
    values = (event.run_id, sha256, event.step, float(seconds))
    db.execute("INSERT OR REPLACE INTO checkpoints VALUES (?, ?, ?, ?, ?)", (*values, seal(values)))


def close(db: sqlite3.Connection, event: Finished | Stopped, sha256: str) -> None:
    """The run is done for good; its last state, if any, has this hash.

    Raises:
        LedgerError: it is said to be finished, and a curve is not complete.
    """
    status, reason = ("stopped", event.reason) if isinstance(event, Stopped) else ("finished", "")
    row = advance(db, event)
    if status == "finished":
        curves.refuse_incomplete(db, event.run_id, event.step)
    lengths = rows.text(curves.lengths(db, event.run_id))
    metrics = rows.text(event.metrics)
    rows.update(db, row, status=status, reason=reason, metrics=metrics, final_sha256=sha256, curves=lengths)
    db.execute("DELETE FROM checkpoints WHERE run_id = ?", (event.run_id,))


def rewind(db: sqlite3.Connection, run_id: str, step: int) -> Row:
    """Forget everything after a step: curves, checkpoints, and the seconds they took; return the row."""
    row = rows.get(db, run_id)
    curves.keep_until(db, run_id, step)
    db.execute("DELETE FROM checkpoints WHERE run_id = ? AND step > ?", (run_id, step))
    kept = [c for c in _checkpoints(db, run_id) if c.step == step]
    return rows.update(db, row, step=step, wall_seconds=max((c.wall_seconds for c in kept), default=0.0))


class _Announced(NamedTuple):
    """A checkpoint that may be on the disk: a row of the table, in its order."""

    run_id: str
    sha256: str
    step: int
    wall_seconds: float
    seal: str | None = None


def _checkpoints(db: sqlite3.Connection, run_id: str) -> list[_Announced]:
    """Return the checkpoints of a run whose rows match their seals; what is damaged was never announced."""
    found = db.execute("SELECT * FROM checkpoints WHERE run_id = ?", (run_id,)).fetchall()
    return _sealed(found)


def _sealed(found: Iterable[tuple[Any, ...]]) -> list[_Announced]:
    announced = [_Announced(*values) for values in found]
    return [c for c in announced if c.seal in (None, seal(c[:4]))]


def checkpoint_step(db: sqlite3.Connection, run_id: str, sha256: str) -> int | None:
    """Return the step of the checkpoint that has this hash, None when there is none."""
    return next((c.step for c in _checkpoints(db, run_id) if c.sha256 == sha256), None)


def status(db: sqlite3.Connection, run_id: str) -> str | None:
    """Return a run's status, None when it is unknown."""
    row = rows.find(db, run_id)
    return None if row is None else row.status


def final_sha256(db: sqlite3.Connection, run_id: str) -> str:
    """Return the hash of a finished run's last state, "" when none was kept."""
    row = rows.find(db, run_id)
    return "" if row is None else row.final_sha256


def announced(db: sqlite3.Connection, run_id: str) -> bool:
    """Return whether a checkpoint file of this run may exist."""
    return db.execute("SELECT 1 FROM checkpoints WHERE run_id = ? LIMIT 1", (run_id,)).fetchone() is not None


def checkpointed(db: sqlite3.Connection, run_ids: Iterable[str]) -> dict[str, int]:
    """Return the step of each run's latest announced checkpoint, for those that have one."""
    found = db.execute(
        "SELECT * FROM checkpoints WHERE run_id IN (SELECT value FROM json_each(?))",
        (json.dumps(list(run_ids)),),
    )
    latest: dict[str, int] = {}
    for checkpoint in _sealed(found):
        latest[checkpoint.run_id] = max(checkpoint.step, latest.get(checkpoint.run_id, 0))
    return latest


def forget(db: sqlite3.Connection, run_id: str) -> None:
    """Make a run planned again, as if it had never been trained."""
    row = rewind(db, run_id, -1)
    fresh = Row(row.id, row.config, attempt=row.attempt)
    rows.update(
        db, row, **{name: getattr(fresh, name) for name in fresh._fields if name not in ("id", "seal")}
    )


def delete(db: sqlite3.Connection, run_id: str) -> None:
    """Take a run out of the ledger."""
    for table in ("curves", "checkpoints"):
        db.execute(f"DELETE FROM {table} WHERE run_id = ?", (run_id,))
    db.execute("DELETE FROM runs WHERE id = ?", (run_id,))


def adopt(db: sqlite3.Connection, run: DoneRun) -> Fate:
    """Take over a done run and return what became of it: a field of ``ImportReport``."""
    done = (run.status, run.reason, run.step, rows.text(run.metrics))
    row = rows.find(db, run.id)
    if row is not None and row.status in DONE:
        same = (row.status, row.reason, row.step, row.metrics) == done
        return "already" if not row.imported or same else "refused"
    plan(db, run.id, run.config)
    row = rewind(db, run.id, -1)
    for name, curve in run.curves.items():
        curves.put_curve(db, run.id, name, curve)
    rows.update(
        db,
        row,
        status=run.status,
        reason=run.reason,
        step=run.step,
        metrics=rows.text(run.metrics),
        facts=rows.text(run.facts),
        wall_seconds=run.wall_seconds,
        imported=1,
        curves=rows.text(curves.lengths(db, run.id)),
    )
    return "added"


def note_all_curves(db: sqlite3.Connection) -> None:
    """Note in the row of every done run how long its curves are; for ledgers from before that was kept."""
    for (run_id,) in db.execute("SELECT id FROM runs WHERE status IN ('finished', 'stopped')").fetchall():
        lengths = rows.text(curves.lengths(db, run_id))
        db.execute("UPDATE runs SET curves = ? WHERE id = ?", (lengths, run_id))
