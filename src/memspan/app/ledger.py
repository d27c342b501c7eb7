"""What the page shows of stored runs. A missing or foreign ledger is simply nothing to show."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from memspan.config import RunConfig
from memspan.errors import MemspanError
from memspan.ledger import Ledger

FILE = "ledger.sqlite"
MOST = 10
"""Stored runs drawn beside a live one."""

Curve = tuple[np.ndarray, np.ndarray]


def stored_curves(folder: Path, run: RunConfig) -> list[Curve]:
    """Return (steps, held-out accuracy) of stored runs of the same task, length, cell and width."""
    file = folder / FILE
    if not file.is_file():
        return []
    wanted = {"status": "finished", "cell": run.recipe.cell, "hidden": run.recipe.hidden}
    wanted |= {name: value for name, value in run.flat().items() if name in ("task", "length")}
    try:
        with Ledger.open(file, readonly=True) as ledger:
            curves = [ledger.curve(record.id, "accuracy") for record in ledger.select(**wanted)[:MOST]]
    except MemspanError:
        return []
    return [(curve.step, curve.mean) for curve in curves]
