"""Runs that come from a file must be whole: a curve has a value for each step of its grid, to the end.

Nothing in a file is proof of itself. Whoever changes a file can compute its checksums again, so a run is
believed where a training could have told it.
"""

from __future__ import annotations

import numpy as np

from memspan.errors import LedgerError
from memspan.ledger.records import Curve, DoneRun
from memspan.ledger.rows import outcome_reason


def refuse_incomplete_run(run: DoneRun) -> None:
    """Refuse a run that ends before its budget and is called finished, or a curve that is not complete.

    Raises:
        LedgerError: names the run and what is missing.
    """
    reasons = [outcome_reason(run.status, run.step, run.config)]
    reasons += [_grid_reason(name, curve, run) for name, curve in run.curves.items()]
    for reason in filter(None, reasons):
        raise LedgerError(
            f"run {run.id!a} of the file is not complete: {reason}; export it again where it was trained, "
            "nothing of the file was imported"
        )


def _grid_reason(name: str, curve: Curve, run: DoneRun) -> str:
    """A training has a value for each step of a regular grid; a bin of them is filed under its last step."""
    if not len(curve):
        return f"curve {name!r} has no values"
    step = np.asarray(curve.step, np.int64)
    gaps = np.diff(step)
    if step[0] < 0 or (gaps <= 0).any() or step[-1] > run.step:
        return f"the steps of curve {name!r} do not rise from 0 to {run.step}"
    regular = len(gaps) == 0 or bool((gaps == gaps[0]).all())
    if not regular and (gaps >= 2 * curve.bin).any():
        return f"curve {name!r} has a hole"
    # One value alone does not tell the grid's stride: it may be the step itself.
    widest = curve.bin
    if regular:
        widest = max(widest, int(gaps[0] if len(gaps) else step[0]))
    if step[0] > widest:
        return f"curve {name!r} begins at step {step[0]}"
    if run.status == "finished" and run.step - step[-1] >= widest:
        return f"curve {name!r} ends at step {step[-1]} of {run.step}"
    return ""
