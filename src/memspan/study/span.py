"""Memory span: up to which length a recipe solves a task, from solved or not of every seed and length.

A seed *holds* a length if it solved that one and every shorter one it was asked. Span50 is the largest length
up to which at least half of the seeds hold every length asked, span90 the same for nine tenths.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from memspan.config import PHASED, Recipe, RunConfig
from memspan.ledger import RunRecord
from memspan.statistics import Interval, survival, wilson
from memspan.statistics.intervals import resampled
from memspan.sweep.plan import operations
from memspan.tasks import TASKS

Solved = Mapping[int, Mapping[int, bool]]
"""Length → seed → whether that run solved its task."""
RESAMPLES = 1999


@dataclass(frozen=True)
class SpanRow:
    """One length that was asked.

    Args:
        length: value of the task's axis.
        solved: share of seeds that solved it, with its 95% Wilson interval.
        reached_step: step by which half of the seeds had reached it (Kaplan–Meier; runs that did not are
            censored at their last step), None if fewer than half.
        kept: mean share of the later evaluations at which it stayed solved, None if no seed reached.
        seconds, operations: what its runs cost together.
    """

    length: int
    solved: Interval
    reached_step: float | None
    kept: float | None
    seconds: float
    operations: float


@dataclass(frozen=True)
class Span:
    """How long a recipe remembers.

    Args:
        cell, task: names.
        recipe: everything else about the runs.
        told: what the recipe knew beforehand, see ``told``.
        span50, span90: a length with its 95% bootstrap interval over seeds; 0 if not even the shortest.
        longest: the longest length that may be asked; a span of that size says "at least".
        rows: every length asked, shortest first.
        runs: ids behind it.
    """

    cell: str
    task: str
    recipe: Recipe
    told: str
    span50: Interval
    span90: Interval
    longest: int
    rows: tuple[SpanRow, ...]
    runs: tuple[str, ...]

    @property
    def seconds(self) -> float:
        """Seconds of training behind it."""
        return sum(row.seconds for row in self.rows)

    @property
    def operations(self) -> float:
        """Floating-point operations behind it."""
        return sum(row.operations for row in self.rows)

    def flat(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "cell": self.cell,
            "task": self.task,
            "told": self.told,
            "span50": vars(self.span50),
            "span90": vars(self.span90),
            "longest": self.longest,
            "lengths": [vars(row) | {"solved": vars(row.solved)} for row in self.rows],
            "seconds": self.seconds,
            "operations": self.operations,
            "recipe": vars(self.recipe),
            "runs": list(self.runs),
        }


def told(recipe: Recipe) -> str:
    """Return what a recipe knows beforehand: ``"T"``, ``"cue"`` (where it is), both, or ``"nothing"``.

    Gates that first open at the first event are told where the cue is, unless time begins at random; so are
    recurrent weights that begin above 1, for their state saturates on what it is shown first.

    Example:
        >>> told(Recipe()), told(Recipe(bias="chrono")), told(Recipe(bias="chrono", chrono_longest=1000))
        ('nothing', 'T', 'nothing')
    """
    known = ["T"] if recipe.bias == "chrono" and not recipe.chrono_longest else []
    aimed = recipe.cell.startswith(PHASED) and recipe.clock_shift == "first_event"
    latched = recipe.recurrent_scale > 1
    if recipe.time_input == "first" or latched or (aimed and recipe.time_origin == "zero"):
        known.append("cue")
    return " and ".join(known) or "nothing"


def held(solved: Solved, length: int) -> list[bool]:
    """Return for every seed that was asked a length, or has failed a shorter one, whether it holds it.

    Example:
        >>> held({10: {0: True, 1: False}, 20: {0: True, 1: True, 2: True}}, 20)
        [True, False, True]
    """
    failed = {
        seed for at, seeds in solved.items() if at <= length for seed, right in seeds.items() if not right
    }
    return [seed not in failed for seed in sorted(failed | solved[length].keys())]


def span_length(solved: Solved, share: float) -> int:
    """Return the largest length asked up to which at least a share of the seeds hold every length; else 0."""
    span = 0
    for length in sorted(solved):
        holding = held(solved, length)
        if not holding:
            continue
        if sum(holding) < share * len(holding):
            break
        span = length
    return span


def span_interval(solved: Solved, share: float) -> Interval:
    """Return ``span_length`` with its percentile bootstrap interval over seeds."""
    seeds = sorted({seed for asked in solved.values() for seed in asked})
    value = float(span_length(solved, share))
    if len(seeds) < 2:
        return Interval(value, None, None, len(seeds))

    def of_seeds(places: np.ndarray) -> float:
        drawn = [(copy, seeds[int(place)]) for copy, place in enumerate(places)]
        again = {
            at: {copy: asked[seed] for copy, seed in drawn if seed in asked} for at, asked in solved.items()
        }
        return float(span_length(again, share))

    low, high = resampled((np.arange(len(seeds)),), of_seeds, "percentile", 0.95, RESAMPLES, 0)
    return Interval(value, low, high, len(seeds))


def measured_span(
    recipe: Recipe, task: str, longest: int, records: Mapping[int, Sequence[RunRecord]]
) -> Span:
    """Return the span that finished runs give.

    Args:
        recipe, task: what they have in common.
        longest: see ``Span``.
        records: length → runs, a run a seed.
    """
    solved = {at: {run.config["seed"]: is_solved(run) for run in runs} for at, runs in records.items()}
    return Span(
        cell=recipe.cell,
        task=task,
        recipe=recipe,
        told=told(recipe),
        span50=span_interval(solved, 0.5),
        span90=span_interval(solved, 0.9),
        longest=longest,
        rows=tuple(_row(recipe, task, at, records[at]) for at in sorted(records)),
        runs=tuple(run.id for at in sorted(records) for run in records[at]),
    )


def run_of(task: str, length: int, recipe: Recipe, seed: int = 0) -> RunConfig:
    """Return the run of one length and seed of a task, the other fields of the task at their defaults."""
    source = TASKS.resolve(task)
    return RunConfig(source(**{source.axis: length}), recipe, seed)


def is_solved(run: RunRecord) -> bool:
    """Return whether a run's final held-out score is past its task's threshold; a diverged one's is not."""
    return run.metrics.get("solved") == 1.0


def _row(recipe: Recipe, task: str, length: int, runs: Sequence[RunRecord]) -> SpanRow:
    late = ["reached_step" not in run.metrics for run in runs]
    times = [float(run.metrics.get("reached_step", run.step)) for run in runs]
    kept = [run.metrics["kept"] for run in runs if "kept" in run.metrics]
    return SpanRow(
        length,
        wilson(sum(map(is_solved, runs)), len(runs)),
        survival(times, late).median,
        float(np.mean(kept)) if kept else None,
        sum(run.wall_seconds for run in runs),
        # of the run that was requested, and not of what the ledger says that it is
        sum([operations(run_of(task, length, recipe))] * len(runs)),
    )
