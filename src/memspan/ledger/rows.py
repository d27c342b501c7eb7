"""A row of the table of runs: read as it stands, vouched for, and written with its seal."""

from __future__ import annotations

import json
import math
import re
import sqlite3
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from memspan.errors import LedgerError
from memspan.ledger.records import CurveSource, RunRecord
from memspan.ledger.seals import seal

NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")  # a run's id is also a file name
STATUSES = ("planned", "running", "finished", "stopped")
LARGEST = 2**53
"""Most steps of a run: whole numbers beyond are no longer exact as floats."""
CheckId = Callable[[dict[str, Any]], str]


class Row(NamedTuple):
    """A row in the table's order; ledgers of older schemas have neither ``curves`` nor ``seal``."""

    id: str
    config: str
    status: str = "planned"
    reason: str = ""
    step: int = 0
    attempt: int = 0
    metrics: str = "{}"
    facts: str = "{}"
    wall_seconds: float = 0.0
    imported: int = 0
    final_sha256: str = ""
    curves: str = ""
    seal: str | None = None


def text(values: Mapping[str, Any]) -> str:
    """Return a mapping as JSON whose bytes depend on its content alone."""
    return json.dumps(dict(values), sort_keys=True, separators=(",", ":"))


def damaged(run_id: object, reason: str) -> LedgerError:
    """Return the error about a row that cannot be believed."""
    return LedgerError(
        f"run {run_id!a} of this ledger is damaged: {reason}; take it out with memspan runs delete "
        "--where status=damaged, then train or import it again"
    )


def find(db: sqlite3.Connection, run_id: str) -> Row | None:
    """Return a run's row, None when it is unknown.

    Raises:
        LedgerError: the row is damaged.
    """
    found = db.execute("SELECT * FROM runs WHERE id = ?", (run_id,)).fetchone()
    return None if found is None else vouched(found)


def get(db: sqlite3.Connection, run_id: str) -> Row:
    """Return the row of a registered run.

    Raises:
        LedgerError: it was never registered, or its row is damaged.
    """
    row = find(db, run_id)
    if row is None:
        raise LedgerError(f"run {run_id!r} is not in this ledger; register it before its first event")
    return row


def insert(db: sqlite3.Connection, row: Row) -> None:
    """Add a row, sealed."""
    names = ", ".join(row._fields)
    marks = ", ".join("?" * len(row))
    db.execute(f"INSERT INTO runs ({names}) VALUES ({marks})", sealed(row))


def update(db: sqlite3.Connection, row: Row, **changes: Any) -> Row:
    """Change columns of a row that was vouched for, seal it anew, and return it."""
    changed = sealed(row._replace(**changes))
    names = [*changes, "seal"]
    marks = ", ".join(f"{name} = ?" for name in names)
    db.execute(f"UPDATE runs SET {marks} WHERE id = ?", (*(getattr(changed, n) for n in names), row.id))
    return changed


def sealed(row: Row) -> Row:
    """Return the row with the seal of its values."""
    row = row._replace(wall_seconds=float(row.wall_seconds))  # the column is REAL: 3 is stored as 3.0
    return row._replace(seal=seal(row[:-1]))


def vouched(found: tuple[Any, ...]) -> Row:
    """Return what ``SELECT *`` gave as a row that matches its seal and holds what a run can have.

    Raises:
        LedgerError: it does not.
    """
    row = Row(*found)
    reason = _seal_reason(row) or _value_reason(row)
    if reason:
        raise damaged(row.id, reason)
    return row


def record(row: Row, source: CurveSource, check_id: CheckId | None = None) -> RunRecord:
    """Return a row that was vouched for as a record.

    Raises:
        LedgerError: its JSON does not hold what it should, or the config is not that of the run's id.
    """
    config = _mapping(row, "config")
    metrics = _mapping(row, "metrics")
    facts = _mapping(row, "facts")
    reason = (
        outcome_reason(row.status, row.step, config)
        or metrics_reason(metrics)
        or facts_reason(facts)
        or (_id_reason(row.id, config, check_id) if check_id else "")
    )
    if reason:
        raise damaged(row.id, reason)
    return RunRecord(
        row.id, config, row.status, row.reason, row.step, metrics, facts,  # type: ignore[arg-type]
        row.wall_seconds, bool(row.imported), source=source,
    )  # fmt: skip


def outcome_reason(status: str, step: int, config: Mapping[str, Any]) -> str:
    """Return "" unless a run is called finished at another step than its config's last."""
    steps = config.get("steps", step)
    return f"finished at step {step} of {str(steps)[:40]}" if status == "finished" and steps != step else ""


def metrics_reason(metrics: Mapping[str, Any]) -> str:
    """Return what is wrong with final numbers, "" if nothing is."""
    for name, value in metrics.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            return f"metric {name!r} is {str(value)[:40]!r}, expected a number"
    return ""


def facts_reason(facts: Mapping[str, Any]) -> str:
    """Return what is wrong with the facts about a run, "" if nothing is."""
    return next(
        (f"fact {k!r} is {str(v)[:40]!r}, expected text" for k, v in facts.items() if type(v) is not str), ""
    )


def range_reason(status: object, reason: object, step: object, wall_seconds: object) -> str:
    """Return which of these columns holds what no run can have, "" if none does."""
    if status not in STATUSES:
        return f"status {str(status)[:40]!r}, expected {', '.join(STATUSES)}"
    if not isinstance(reason, str):
        return "its reason is no text"
    if type(step) is not int or not 0 <= step <= LARGEST:
        return f"step {str(step)[:40]}, expected a whole number from 0"
    if type(wall_seconds) not in (float, int) or not 0 <= wall_seconds < math.inf:  # type: ignore[operator]
        return f"wall_seconds {str(wall_seconds)[:40]}, expected a number from 0"
    return ""


def _seal_reason(row: Row) -> str:
    if row.seal is None or row.seal == seal(row[:-1]):
        return ""
    return "its row does not match its checksum"


def _value_reason(row: Row) -> str:
    if type(row.id) is not str or not NAME.fullmatch(row.id):
        return "its id is no id"
    if type(row.attempt) is not int or row.attempt < 0 or row.imported not in (0, 1):
        return f"attempt {str(row.attempt)[:40]}, imported {str(row.imported)[:40]}"
    return range_reason(row.status, row.reason, row.step, row.wall_seconds)


def _id_reason(run_id: str, config: dict[str, Any], check_id: CheckId) -> str:
    try:
        computed = check_id(config)
    except (ValueError, TypeError, RecursionError) as error:
        return f"its config is not understood: {error}"
    return "" if computed == run_id else f"its config is that of run {computed}"


def _mapping(row: Row, column: str) -> dict[str, Any]:
    written = getattr(row, column)
    if written == "{}":
        return {}
    try:
        found = json.loads(written)
    except (ValueError, TypeError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise damaged(row.id, f"its {column} is no JSON object")
    return found
