"""The table of runs: what each kind of event changes in it. Every function runs inside a transaction."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

from memspan.errors import ArgumentError, LedgerError
from memspan.ledger import curves
from memspan.ledger.events import Checkpoint, Finished, Started, Stopped
from memspan.ledger.records import DONE, CurveSource, DoneRun, RunRecord

COLUMNS = "id, config, status, reason, step, metrics, facts, wall_seconds, imported"
Fate = Literal["added", "already", "refused"]
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")  # a run's id is also a file name


class Standing(NamedTuple):
    """Where a run stands, as far as an arriving event cares."""

    status: str
    step: int
    attempt: int
    wall_seconds: float


def text(values: Mapping[str, Any]) -> str:
    """Return a mapping as JSON whose bytes depend on its content alone."""
    return json.dumps(dict(values), sort_keys=True, separators=(",", ":"))


def record(row: tuple[Any, ...], source: CurveSource) -> RunRecord:
    """Return a row of ``COLUMNS`` as a record."""
    run_id, config, status, reason, step, metrics, facts, wall_seconds, imported = row
    config, metrics, facts = map(json.loads, (config, metrics, facts))
    return RunRecord(
        run_id, config, status, reason, step, metrics, facts, wall_seconds, bool(imported), source=source
    )


def plan(db: sqlite3.Connection, run_id: str, config: Mapping[str, Any]) -> None:
    """Add a planned run; a known one takes the config's present spelling, which has the same hash.

    Raises:
        ArgumentError: an id that could not be a file name.
    """
    if not _NAME.fullmatch(run_id):
        raise ArgumentError(f"run id {run_id!r}: expected 1 to 64 letters, digits, - or _")
    db.execute(
        "INSERT INTO runs (id, config) VALUES (?, ?) "
        "ON CONFLICT (id) DO UPDATE SET config = excluded.config WHERE config <> excluded.config",
        (run_id, text(config)),
    )


def standing(db: sqlite3.Connection, run_id: str) -> Standing:
    """Return where a run stands.

    Raises:
        LedgerError: it was never registered.
    """
    row = db.execute(
        "SELECT status, step, attempt, wall_seconds FROM runs WHERE id = ?", (run_id,)
    ).fetchone()
    if row is None:
        raise LedgerError(f"run {run_id!r} is not in this ledger; register it before its first event")
    return Standing(*row)


def start(db: sqlite3.Connection, event: Started) -> int:
    """Begin an attempt at ``event.step``, drop what was recorded after it, and return its number."""
    rewind(db, event.run_id, event.step)
    db.execute(
        "UPDATE runs SET status = 'running', attempt = attempt + 1, facts = ? WHERE id = ?",
        (text(event.facts), event.run_id),
    )
    return standing(db, event.run_id).attempt


def advance(db: sqlite3.Connection, event: Checkpoint | Finished | Stopped) -> float:
    """Store an event's curves and its step, and return the seconds spent up to there."""
    for metric, piece in event.curves.items():
        curves.put(db, event.run_id, metric, piece, event.step)
    seconds = standing(db, event.run_id).wall_seconds + event.wall_seconds
    db.execute("UPDATE runs SET step = ?, wall_seconds = ? WHERE id = ?", (event.step, seconds, event.run_id))
    return seconds


def announce(db: sqlite3.Connection, event: Checkpoint, sha256: str, seconds: float) -> None:
    """Note which checkpoint file is about to be written; until it is, the one before stays valid."""
    db.execute(
        "INSERT OR REPLACE INTO checkpoints (run_id, sha256, step, wall_seconds) VALUES (?, ?, ?, ?)",
        (event.run_id, sha256, event.step, seconds),
    )


def close(db: sqlite3.Connection, event: Finished | Stopped, sha256: str) -> None:
    """The run is done for good; its last state, if any, has this hash."""
    outcome = ("stopped", event.reason) if isinstance(event, Stopped) else ("finished", "")
    db.execute(
        "UPDATE runs SET status = ?, reason = ?, metrics = ?, final_sha256 = ? WHERE id = ?",
        (*outcome, text(event.metrics), sha256, event.run_id),
    )
    db.execute("DELETE FROM checkpoints WHERE run_id = ?", (event.run_id,))


def rewind(db: sqlite3.Connection, run_id: str, step: int) -> None:
    """Forget everything after a step: curves, checkpoints, and the seconds they took."""
    curves.keep_until(db, run_id, step)
    db.execute("DELETE FROM checkpoints WHERE run_id = ? AND step > ?", (run_id, step))
    db.execute(
        "UPDATE runs SET step = ?, wall_seconds = coalesce("
        "(SELECT max(wall_seconds) FROM checkpoints WHERE run_id = ? AND step = ?), 0) WHERE id = ?",
        (step, run_id, step, run_id),
    )


def checkpoint_step(db: sqlite3.Connection, run_id: str, sha256: str) -> int | None:
    """Return the step of the checkpoint that has this hash, None when there is none."""
    row = db.execute(
        "SELECT step FROM checkpoints WHERE run_id = ? AND sha256 = ?", (run_id, sha256)
    ).fetchone()
    return None if row is None else row[0]


def status(db: sqlite3.Connection, run_id: str) -> str | None:
    """Return a run's status, None when it is unknown."""
    row = db.execute("SELECT status FROM runs WHERE id = ?", (run_id,)).fetchone()
    return None if row is None else row[0]


def final_sha256(db: sqlite3.Connection, run_id: str) -> str:
    """Return the hash of a finished run's last state, "" when none was kept."""
    row = db.execute("SELECT final_sha256 FROM runs WHERE id = ?", (run_id,)).fetchone()
    return "" if row is None else row[0]


def announced(db: sqlite3.Connection, run_id: str) -> bool:
    """Return whether a checkpoint file of this run may exist."""
    return db.execute("SELECT 1 FROM checkpoints WHERE run_id = ? LIMIT 1", (run_id,)).fetchone() is not None


def checkpointed(db: sqlite3.Connection, run_ids: Iterable[str]) -> dict[str, int]:
    """Return the step of each run's latest announced checkpoint, for those that have one."""
    rows = db.execute(
        "SELECT run_id, max(step) FROM checkpoints WHERE run_id IN (SELECT value FROM json_each(?)) "
        "GROUP BY run_id",
        (json.dumps(list(run_ids)),),
    )
    return dict(rows.fetchall())


def forget(db: sqlite3.Connection, run_id: str) -> None:
    """Make a run planned again, as if it had never been trained."""
    rewind(db, run_id, -1)
    db.execute(
        "UPDATE runs SET status = 'planned', reason = '', step = 0, metrics = '{}', facts = '{}', "
        "imported = 0, final_sha256 = '' WHERE id = ?",
        (run_id,),
    )


def delete(db: sqlite3.Connection, run_id: str) -> None:
    """Take a run out of the ledger."""
    for table in ("curves", "checkpoints"):
        db.execute(f"DELETE FROM {table} WHERE run_id = ?", (run_id,))
    db.execute("DELETE FROM runs WHERE id = ?", (run_id,))


def adopt(db: sqlite3.Connection, run: DoneRun) -> Fate:
    """Take over a done run and return what became of it: a field of ``ImportReport``."""
    done = (run.status, run.reason, run.step, text(run.metrics))
    row = db.execute(
        "SELECT status, reason, step, metrics, imported FROM runs WHERE id = ?", (run.id,)
    ).fetchone()
    if row is not None and row[0] in DONE:
        return "already" if not row[4] or row[:4] == done else "refused"
    plan(db, run.id, run.config)
    rewind(db, run.id, -1)
    for name, curve in run.curves.items():
        curves.put_curve(db, run.id, name, curve)
    db.execute(
        "UPDATE runs SET status = ?, reason = ?, step = ?, metrics = ?, "
        "facts = ?, wall_seconds = ?, imported = 1 WHERE id = ?",
        (*done, text(run.facts), run.wall_seconds, run.id),
    )
    return "added"
