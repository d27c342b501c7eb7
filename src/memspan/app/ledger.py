"""What the page shows of stored runs. A missing or foreign ledger is simply nothing to show."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from memspan.cells import CELLS
from memspan.config import Recipe, RunConfig
from memspan.errors import ArgumentError, MemspanError
from memspan.ledger import Ledger
from memspan.ledger.records import RunRecord
from memspan.statistics import Interval, wilson
from memspan.tasks import TASKS

FILE = "ledger.sqlite"
MOST = 10
"""Stored runs drawn beside a live one."""

RECIPES = 4
"""Recipes whose solved shares are drawn."""

Curve = tuple[np.ndarray, np.ndarray]


def stored_curves(folder: Path, run: RunConfig) -> list[Curve]:
    """Return (steps, held-out accuracy) of stored runs of the same task, length, cell and width."""
    wanted = {"status": "finished", "cell": run.recipe.cell, "hidden": run.recipe.hidden}
    wanted |= {name: value for name, value in run.flat().items() if name in ("task", "length")}
    curves = []
    with _ledger(folder) as ledger:
        for record in _select(ledger, **wanted)[:MOST]:
            with suppress(MemspanError):
                curves.append(record.curve("accuracy"))
    return [(curve.step, curve.mean) for curve in curves]


def solved_shares(folder: Path) -> dict[str, dict[int, Interval]]:
    """Return recipe → length → share of its stored runs that solved it, for the recipes of most lengths.

    A recipe of one length is left out: there is no line to draw.
    """
    groups: dict[str, dict[int, list[bool]]] = defaultdict(lambda: defaultdict(list))
    with _ledger(folder) as ledger:
        for record in _select(ledger, status=("finished", "stopped"), task="palindrome"):
            groups[_recipe(record)][record.config["length"]].append(record.metrics.get("solved") == 1.0)
    lines = [name for name, lengths in groups.items() if len(lengths) > 1]
    best = sorted(lines, key=lambda name: (-len(groups[name]), name))[:RECIPES]
    return {
        name: {length: wilson(sum(seeds), len(seeds)) for length, seeds in sorted(groups[name].items())}
        for name in best
    }


def _recipe(record: RunRecord) -> str:
    """Name a recipe by its cell and whatever is not the report's."""
    usual = dataclasses.asdict(Recipe())
    other = {name: value for name, value in record.config.items() if name in usual and value != usual[name]}
    return ", ".join([record.config["cell"], *(f"{k} {v}" for k, v in other.items() if k != "cell")])


def trained_runs(folder: Path) -> dict[str, RunConfig]:
    """Return name → run of stored palindrome networks with their weights, the longest sequences first."""
    with _ledger(folder) as ledger:
        found = _select(ledger, status="finished", task="palindrome", imported=False)
        every = [RunConfig.from_stored(record.config) for record in found]
        runs = [run for run in every if run.recipe.layers == 1]  # a probe asks one layer, from its own input
        runs.sort(key=lambda run: (-run.task.steps, run.recipe.cell, run.seed))
        return {_name(run): run for run in runs[:MOST] if ledger and _has_state(ledger, run)}


def _has_state(ledger: Ledger, run: RunConfig) -> bool:
    try:
        return ledger.final_state(run.id) is not None
    except MemspanError:  # damaged
        return False


def final_state(folder: Path, run: RunConfig) -> bytes:
    """Return the state a stored run ended with.

    Raises:
        ArgumentError: it is no longer there.
    """
    with _ledger(folder) as ledger:
        state = ledger.final_state(run.id) if ledger else None
    if state is None:
        raise ArgumentError(f"the weights of run {run.id} are not there any more; choose another one")
    return state


def _name(run: RunConfig) -> str:
    return f"{run.recipe.cell}, T = {run.task.steps + 1}, seed {run.seed} ({run.id[:6]})"


def _select(ledger: Ledger | None, **where: Any) -> list[RunRecord]:
    """Return the runs that match and can be read; a foreign or damaged ledger has none."""
    if ledger is not None:
        with suppress(MemspanError):
            return [record for record in ledger.intact(**where) if _readable(record)]
    return []


def _readable(record: RunRecord) -> bool:
    """Return whether a record is of a run that this page could train; nothing it names is imported."""
    config = record.config
    if any(isinstance(value, int) and abs(value) >= 2**63 for value in config.values()):
        return False
    try:
        if config.get("task") not in TASKS or config.get("cell", "lstm") not in CELLS:
            return False
        RunConfig.from_stored(config)
    except (MemspanError, TypeError, ValueError, OverflowError):
        return False
    return True


@contextmanager
def _ledger(folder: Path) -> Iterator[Ledger | None]:
    """Open the folder's ledger for reading; None where there is none that can be read."""
    with ExitStack() as stack:
        ledger = None
        if (folder / FILE).is_file():
            with suppress(MemspanError):
                ledger = stack.enter_context(
                    Ledger.open(folder / FILE, readonly=True, check_id=RunConfig.stored_id)
                )
        yield ledger
