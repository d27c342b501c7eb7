"""``memspan train``: one recipe on one task, several seeds."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import tyro

from memspan.cli.bounds import check_memory, seeds_of
from memspan.cli.names import check_cell, task_class
from memspan.cli.options import LEDGER, SweepOptions, engine_of
from memspan.cli.progress import bar
from memspan.config import Recipe, RunConfig
from memspan.errors import ArgumentError
from memspan.tasks.task import Task

if TYPE_CHECKING:
    from memspan.ledger import Ledger, RunRecord


@dataclass(frozen=True)
class Train:
    """Train one recipe on one task, a run for every seed; finished runs are never trained twice."""

    task: tyro.conf.Positional[str]
    """The task, for instance palindrome, two_sensors, sines or text."""
    length: int | None = None
    """How hard it is: T digits of a palindrome, or whatever number makes the task harder; see also memspan
    sweep, which sets every field of a task."""
    recipe: tyro.conf.OmitArgPrefixes[Recipe] = field(default_factory=Recipe)
    seeds: str = "0"
    """Seeds, for instance 0-4 or 1,3,7-9."""
    options: tyro.conf.OmitArgPrefixes[SweepOptions] = field(default_factory=SweepOptions)
    json: bool = False
    """Print the results as JSON."""

    def run(self) -> int:
        """Train what is missing and print a table of every run asked for."""
        check_cell(self.recipe.cell)
        task = self._task()
        runs = [RunConfig(task, self.recipe, seed) for seed in seeds_of(self.seeds)]
        check_memory(runs, self.options.engine)
        if self.options.dry_run:
            from memspan.cli.estimate import print_estimate

            return print_estimate(runs, self.options)
        with open_ledger(self.options) as ledger:
            train_missing(runs, ledger, self.options)
            records = [record for run in runs if (record := ledger.get(run.id))]
        print(as_json(records) if self.json else _as_table(records))
        return 0

    def _task(self) -> Task:
        """Return the task at its difficulty."""
        axis = task_class(self.task).axis
        if self.length is not None and not axis:
            raise ArgumentError(f"task {self.task!r} has no length; leave --length out")
        difficulty = {} if self.length is None else {axis: self.length}
        return RunConfig.from_flat({"task": self.task, **difficulty}).task


def open_ledger(options: SweepOptions) -> Ledger:
    """Open the ledger of an output folder, made if need be."""
    from memspan.errors import OutputError
    from memspan.ledger import Ledger

    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"--out {options.out}: cannot be made ({error.strerror}); choose another folder"
        ) from None
    return Ledger.open(options.out / LEDGER, check_id=RunConfig.stored_id)


def train_missing(runs: Sequence[RunConfig], ledger: Ledger, options: SweepOptions) -> None:
    """Train the runs the ledger does not hold, behind one progress bar."""
    from memspan.sweep.plan import missing
    from memspan.sweep.run import sweep

    check_memory(runs, options.engine)
    with bar(missing(runs, ledger)) as listen:
        sweep(runs, ledger, engine_of(options, ledger), listen, _waiting())


def _waiting() -> Callable[[int], None]:
    """Return what says, once, that all that is left is in the hands of another process."""
    told: list[int] = []

    def say(left: int) -> None:
        if not told:
            told.append(left)
            print(f"waiting for {left} runs that another process trains", file=sys.stderr)

    return say


def as_json(records: Sequence[RunRecord]) -> str:
    """Return runs as a JSON list: config, status, final metrics, seconds."""
    rows = [
        {
            "id": r.id,
            **r.config,
            "status": r.status,
            "reason": r.reason,
            **r.metrics,
            "wall_seconds": r.wall_seconds,
        }
        for r in records
    ]
    return json.dumps(rows, indent=2)


def _as_table(records: Sequence[RunRecord]) -> str:
    names = ("run", "seed", "status", "accuracy", "solved", "reached at", "seconds")
    lines = ["{:16}  {:>4}  {:8}  {:>8}  {:6}  {:>10}  {:>7}".format(*names)]
    for r in records:
        m = r.metrics
        reached = f"{m['reached_step']:.0f}" if "reached_step" in m else "never"
        accuracy = f"{m['accuracy']:.4f}" if "accuracy" in m else "-"
        solved = "yes" if m.get("solved") else "no"
        lines.append(
            f"{r.id:16}  {r.config['seed']:>4}  {r.status:8}  {accuracy:>8}  {solved:6}  {reached:>10}  "
            f"{r.wall_seconds:>7.1f}" + (f"  {r.reason}" if r.reason else "")
        )
    return "\n".join(lines)
