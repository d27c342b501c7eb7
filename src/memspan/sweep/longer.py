"""Longer runs go on from where shorter ones of the same page ended, instead of starting again."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from memspan.config import RunConfig
from memspan.errors import LedgerError
from memspan.ledger import Ledger, RunRecord
from memspan.ledger.events import Checkpoint, Piece, Pieces, Started


def inherit(runs: Sequence[RunConfig], ledger: Ledger) -> None:
    """Give every planned run the end of the longest shorter run there is, as its own checkpoint.

    No step's batch, rate or draw depends on the budget, so the bits are those of a run from the beginning.
    An imported run has no state to go on from.
    """
    planned = [run for run in runs if ledger.statuses([run.id]).get(run.id) == "planned"]
    if not planned:
        return
    budgets = sorted({record.config["steps"] for record in ledger.select(status="finished")}, reverse=True)
    for run in planned:
        if ledger.holds.take(run.id):  # else another process is about to train it
            if ledger.statuses([run.id])[run.id] == "planned":
                _go_on(run, budgets, ledger)
            ledger.holds.release(run.id)


def _go_on(run: RunConfig, budgets: Sequence[int], ledger: Ledger) -> None:
    shorter = (_with_steps(run, steps) for steps in budgets if steps < run.recipe.steps)
    for record in filter(None, (ledger.get(candidate.id) for candidate in shorter)):
        if _begin(run, record, ledger):
            return


def _with_steps(run: RunConfig, steps: int) -> RunConfig:
    return dataclasses.replace(run, recipe=dataclasses.replace(run.recipe, steps=steps))


def _begin(run: RunConfig, shorter: RunRecord, ledger: Ledger) -> bool:
    """Store a shorter run's end as the run's checkpoint, and return whether there was one."""
    try:
        state = ledger.final_state(shorter.id) if shorter.status == "finished" else None
    except LedgerError:  # damaged: begin anew
        return False
    if state is None:
        return False
    ledger.append(Started(run.id, 0, facts=shorter.facts))
    ledger.append(Checkpoint(run.id, shorter.step, _curves(shorter), state, shorter.wall_seconds))
    return True


def _curves(record: RunRecord) -> Pieces:
    pieces = {}
    for name in record.curve_names():
        curve = record.curve(name)
        stride = int(curve.step[1] - curve.step[0]) if len(curve) > 1 else int(curve.step[0])
        pieces[name] = Piece(int(curve.step[0]), stride, curve.mean)
    return pieces
