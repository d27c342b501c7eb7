"""What a done run from elsewhere must be before a ledger takes it over: types, ranges, whole curves."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np

from memspan.errors import LedgerError, shown
from memspan.ledger.records import DONE, Curve, DoneRun

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")  # it is also a file name
LARGEST = 2**63


def check_done_run(run: DoneRun, source: str) -> None:
    """Check every value of a run by its type and range.

    Only a stopped run, which diverged, has metrics that are not finite; any curve may.

    Args:
        run: what a file says.
        source: where it comes from, the beginning of the message.

    Raises:
        LedgerError: names the run and the value.
    """
    if not isinstance(run.id, str) or not _ID.fullmatch(run.id):
        _refuse(source, run, "id", run.id, "1 to 64 letters, digits, - or _")
    if run.status not in DONE:
        raise LedgerError(
            f"{source}: run {shown(run.id)} has status {shown(run.status)}, expected {' or '.join(DONE)}"
        )
    if not isinstance(run.reason, str):
        _refuse(source, run, "reason", run.reason, "a text")
    steps = run.config.get("steps")
    budget = steps if isinstance(steps, int) else LARGEST - 1
    if not _is_whole(run.step) or not 0 <= run.step <= budget:
        _refuse(source, run, "step", run.step, f"a whole number in 0 … {budget}")
    if not _is_real(run.wall_seconds) or not 0 <= run.wall_seconds < math.inf:
        _refuse(source, run, "wall_seconds", run.wall_seconds, "a number of at least 0")
    _check_numbers(run, source)
    for name, curve in run.curves.items():
        _check_curve(run, source, name, curve)


def _check_numbers(run: DoneRun, source: str) -> None:
    for name, value in run.metrics.items():
        if not _is_real(value):
            _refuse(source, run, f"final_{name}", value, "a number")
        if run.status == "finished" and not math.isfinite(value):
            _refuse(source, run, f"final_{name}", value, "a finite number, for the run is finished")
    for name, fact in run.facts.items():
        if not isinstance(fact, str):
            _refuse(source, run, name, fact, "a text")


def _check_curve(run: DoneRun, source: str, name: str, curve: Curve) -> None:
    where = f"curve {name}"
    if not _is_whole(curve.bin) or not 1 <= curve.bin < LARGEST:
        _refuse(source, run, f"{where}, bin", curve.bin, "a whole number of at least 1")
    if curve.step.dtype.kind not in "iu" and len(curve):
        _refuse(source, run, f"{where}, step", curve.step.dtype, "whole numbers")
    for part in (curve.mean, curve.low, curve.high):
        if part.dtype.kind != "f" and len(curve):
            _refuse(source, run, where, part.dtype, "real numbers")
    increasing = bool(np.all(curve.step[1:] > curve.step[:-1]))
    if len(curve) and (not increasing or curve.step[0] < 1 or curve.step[-1] > run.step):
        _refuse(source, run, f"{where}, step", curve.step, f"increasing steps in 1 … {run.step}")


def _is_whole(value: object) -> bool:
    return type(value) is int


def _is_real(value: object) -> bool:
    return type(value) in (int, float)


def _refuse(source: str, run: DoneRun, name: str, value: Any, expected: str) -> None:
    raise LedgerError(
        f"{source}: {name} of run {shown(run.id)} is {shown(value)}, expected {expected};"
        " nothing was imported"
    )
