"""``memspan sweep``: many runs, from a Python file or from a grid on the command line."""

from __future__ import annotations

import itertools
import runpy
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from memspan.cli.bounds import MOST_RUNS, check_memory, seeds_of, shortened
from memspan.cli.grid import Grid, grid_runs
from memspan.cli.options import SweepOptions
from memspan.cli.train import as_json, open_ledger, train_missing
from memspan.config import RunConfig
from memspan.errors import ArgumentError

if TYPE_CHECKING:
    from memspan.ledger import RunRecord


@dataclass(frozen=True)
class Sweep:
    """Train every run that a study file or a grid asks for and the ledger does not hold yet.

    A grid: every field of the task and the recipe takes several values, a,b,c or start:stop:step with the
    end included, and all combinations are trained. For instance
    memspan sweep --cell lstm,gru --length 10:100:10 --lr 1e-3,1e-2 --seeds 0-9
    """

    study: tyro.conf.Positional[Path | None] = None
    """A Python file with a function runs() that returns a list of RunConfig; instead of a grid."""
    task: str | None = None
    """The task of a grid; palindrome if not given."""
    seeds: str | None = None
    """Seeds of a grid, for instance 0-9 or 1,3,7-9; 0 if not given."""
    grid: tyro.conf.OmitArgPrefixes[Grid] = field(default_factory=Grid)
    options: tyro.conf.OmitArgPrefixes[SweepOptions] = field(default_factory=SweepOptions)
    json: bool = False
    """Print every run as JSON."""

    def run(self) -> int:
        """Train what is missing and print one line for each setting."""
        runs = self._runs()
        check_memory(runs, self.options.engine)
        if self.options.dry_run:
            from memspan.cli.estimate import print_estimate

            return print_estimate(runs, self.options)
        with open_ledger(self.options) as ledger:
            train_missing(runs, ledger, self.options)
            records = ledger.select(id={run.id for run in runs})
        print(as_json(records) if self.json else as_summary(records))
        return 0

    def _runs(self) -> list[RunConfig]:
        if self.study is None:
            return grid_runs(self.task or "palindrome", self.grid, seeds_of(self.seeds or "0"))
        given = {**vars(self.grid), "task": self.task, "seeds": self.seeds}
        for name, value in given.items():
            if value is not None:
                flag = name.replace("_", "-")
                raise ArgumentError(f"--{flag} belongs to a grid; {self.study} lists its runs itself")
        return study_runs(self.study)


def study_runs(file: Path) -> list[RunConfig]:
    """Return what ``runs()`` of a Python file returns.

    Raises:
        ArgumentError: no such file, no such function, or not a list of runs.
    """
    if not file.is_file():
        raise ArgumentError(f"{file}: no such file; expected one with a function runs() -> list[RunConfig]")
    make = runpy.run_path(str(file)).get("runs")
    if not callable(make):
        raise ArgumentError(f"{file} has no function runs(); expected runs() -> list[RunConfig]")
    made = make()
    if not isinstance(made, Iterable) or isinstance(made, str | bytes | Mapping):
        raise ArgumentError(f"{file}: runs() returned {shortened(repr(made))}; expected a list of RunConfig")
    runs = list(itertools.islice(made, MOST_RUNS + 1))  # a generator may never end
    if len(runs) > MOST_RUNS:
        raise ArgumentError(f"{file}: runs() gives more than {MOST_RUNS:,} runs; expected at most so many")
    for run in runs:
        if not isinstance(run, RunConfig):
            raise ArgumentError(
                f"{file}: runs() returned {shortened(repr(run))}; expected RunConfig and nothing else"
            )
    return runs


def as_summary(records: Sequence[RunRecord]) -> str:
    """Return a line for each setting that differs in more than its seed: runs, solved, mean accuracy."""
    varied = [name for name in _fields(records) if name != "seed" and len(_values(records, name)) > 1]
    settings: dict[tuple[Any, ...], list[RunRecord]] = defaultdict(list)
    for record in records:
        settings[tuple(record.config.get(name) for name in varied)].append(record)
    lines = [_row([*varied, "runs", "stopped", "solved", "accuracy"])]
    for setting, members in sorted(settings.items(), key=lambda item: list(map(_order, item[0]))):
        accuracies = [r.metrics["accuracy"] for r in members if r.status == "finished"]
        mean = f"{sum(accuracies) / len(accuracies):.4f}" if accuracies else "-"
        stopped = sum(r.status == "stopped" for r in members)
        solved = sum(bool(r.metrics.get("solved")) for r in members)
        lines.append(_row([*setting, len(members), stopped, solved, mean]))
    return "\n".join(lines)


def _fields(records: Sequence[RunRecord]) -> list[str]:
    return list(dict.fromkeys(name for record in records for name in record.config))


def _values(records: Sequence[RunRecord], name: str) -> set[Any]:
    return {record.config.get(name) for record in records}


def _order(value: Any) -> tuple[bool, Any]:
    """Numbers by size, then words by their letters."""
    number = isinstance(value, int | float)
    return not number, value if number else str(value)


def _row(cells: Sequence[Any]) -> str:
    return "  ".join(f"{cell!s:>13}" for cell in cells)
