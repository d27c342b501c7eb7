"""The done runs of a ledger as CSV: config, outcome and final metrics, for a spreadsheet; no curves."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path
from typing import Any

from memspan.ledger.checkpoints import write_whole
from memspan.ledger.records import DONE, RunRecord
from memspan.ledger.store import Ledger


def export_csv(ledger: Ledger, path: str | os.PathLike[str]) -> int:
    """Write the finished and stopped runs, one a line, and return how many.

    Columns are named as in the Parquet file; a field that a run has not is empty.

    Raises:
        LedgerError: the file cannot be written; what was there before still is.
    """
    rows = [_row(run) for run in ledger.select(status=DONE)]
    names = list(dict.fromkeys(name for row in rows for name in row)) or ["id"]
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_whole(Path(path), text.getvalue().encode())
    return len(rows)


def _row(run: RunRecord) -> dict[str, Any]:
    return {
        "id": run.id,
        **run.config,
        "status": run.status,
        "reason": run.reason,
        "step": run.step,
        **{f"final_{name}": value for name, value in run.metrics.items()},
        **run.facts,
        "wall_seconds": run.wall_seconds,
    }
