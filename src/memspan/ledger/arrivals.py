"""Runs that come from a file: what they say is checked by type, range and completeness before it is stored.

Nothing in a file is proof of itself. Whoever changes a file can compute its checksums again, so a run is
believed where all it says could have been said by a training.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from memspan.errors import LedgerError
from memspan.ledger import rows
from memspan.ledger.records import DONE, Curve, DoneRun


def refuse_implausible(run: DoneRun) -> None:
    """Refuse a run that no training can have told.

    Raises:
        LedgerError: a value of another type or outside its range, or a curve that is not complete.
    """
    reason = _reason(run)
    if reason:
        raise LedgerError(
            f"run {run.id!a} of the file cannot be imported: {reason}; export it again where it was trained, "
            "nothing of the file was imported"
        )


def _reason(run: DoneRun) -> str:
    if not isinstance(run.id, str) or not rows.NAME.fullmatch(run.id):
        return "its id is no id"
    if not isinstance(run.config, Mapping):
        return "its config is no JSON object"
    return (
        rows.range_reason(run.status, run.reason, run.step, run.wall_seconds)
        or ("" if run.status in DONE else f"status {run.status}, expected {' or '.join(DONE)}")
        or rows.outcome_reason(run.status, run.step, run.config)
        or rows.metrics_reason(run.metrics)
        or _finished_reason(run)
        or rows.facts_reason(run.facts)
        or next(filter(None, (_curve_reason(name, curve, run) for name, curve in run.curves.items())), "")
    )


def _finished_reason(run: DoneRun) -> str:
    if run.status == "finished":
        for name, value in run.metrics.items():
            if math.isnan(value):
                return f"metric {name!r} of a finished run is NaN"
    return ""


def _curve_reason(name: str, curve: Curve, run: DoneRun) -> str:
    if type(curve.bin) is not int or not 1 <= curve.bin <= rows.LARGEST:
        return f"curve {name!r} has bins of {str(curve.bin)[:40]} steps"
    for part in ("step", "mean", "low", "high"):
        values: Any = getattr(curve, part)
        kind = "iu" if part == "step" else "f"
        if not isinstance(values, np.ndarray) or values.ndim != 1 or values.dtype.kind not in kind:
            return f"curve {name!r} has a {part} that is no list of numbers"
        if len(values) != len(curve.step):
            return f"curve {name!r} is cut: its {part} has {len(values)} of {len(curve.step)} values"
    return _grid_reason(name, curve, run)


def _grid_reason(name: str, curve: Curve, run: DoneRun) -> str:
    """A training has a value for each step of a regular grid; a bin of them is filed under its last step."""
    step = curve.step.astype(np.int64)
    gaps = np.diff(step)
    if not len(step) or step[0] < 0 or (gaps <= 0).any() or step[-1] > run.step:
        return f"the steps of curve {name!r} do not rise from 0 to {run.step}"
    regular = len(gaps) == 0 or bool((gaps == gaps[0]).all())
    widest = max(curve.bin, int(gaps[0]) if len(gaps) and regular else 0)
    if len(gaps) == 0:  # one value alone does not tell the grid
        widest = max(widest, int(step[0]))
    if not regular and (gaps >= 2 * curve.bin).any():
        return f"curve {name!r} has a hole"
    if step[0] > widest:
        return f"curve {name!r} begins at step {step[0]}"
    if run.status == "finished" and run.step - step[-1] >= widest:
        return f"curve {name!r} ends at step {step[-1]} of {run.step}"
    return ""
