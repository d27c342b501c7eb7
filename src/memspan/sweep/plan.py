"""What is left to do: wanted minus stored, grouped into packs, each held before it is trained."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from memspan.config import RunConfig
from memspan.ledger import Ledger, Resume
from memspan.ledger.records import DONE
from memspan.sweep.cost import memory, operations, worker_memory

Group = tuple[RunConfig, ...]
"""Runs of equal shape, planned to be one pack."""

LARGEST = 8
"""Most replicas in a pack: more gain little speed, and a lost worker would lose more."""


@dataclass(frozen=True)
class PackPlan:
    """Runs to be trained together, held by this process, and the states they go on from.

    Args:
        runs: configs of equal shape, all at the same step.
        resume: run id → stored state, empty for a start from nothing.
    """

    runs: Group
    resume: Mapping[str, Resume]

    @property
    def start(self) -> int:
        """Step from which the pack goes on."""
        return next((saved.step for saved in self.resume.values()), 0)


def missing(runs: Iterable[RunConfig], ledger: Ledger) -> list[RunConfig]:
    """Return the wanted runs that are neither finished nor stopped, each once, in the order given."""
    unique = {run.id: run for run in runs}
    status = ledger.statuses(unique)
    return [run for run_id, run in unique.items() if status.get(run_id) not in DONE]


def packs(
    runs: Sequence[RunConfig],
    reached: Mapping[str, int],
    *,
    workers: int,
    room: float = math.inf,
    largest: Callable[[RunConfig], int] = lambda run: LARGEST,
) -> list[Group]:
    """Group runs into packs, the longest first; none for which a worker stands idle or has no memory.

    Args:
        runs: what is missing.
        reached: run id → step of its checkpoint, for runs that have one (``Ledger.checkpointed``).
        workers: packs that will be trained at once.
        room: bytes that all workers together may use.
        largest: most replicas in a pack with this run.
    """
    shapes: dict[object, object] = {}  # of each recipe once: its seeds are many, and a shape takes a while
    groups: dict[tuple[object, int, int], list[RunConfig]] = defaultdict(list)
    for run in runs:
        page = run.task, run.recipe
        shape = shapes.get(page) or shapes.setdefault(page, run.shape())
        groups[shape, reached.get(run.id, 0), largest(run)].append(run)
    busy = -(-len(runs) // workers)
    found = []
    for (_, _, most), members in groups.items():
        left = room / workers - worker_memory(members[0])
        fitting = max(1, int(min(most, left // memory(members[0]))))
        parts = -(-len(members) // min(fitting, busy))
        if len(groups) == 1:  # nothing else fills the last round
            parts = min(len(members), -(-parts // workers) * workers)
        found += [tuple(members[k::parts]) for k in range(parts)]
    return sorted(found, key=lambda group: -sum(_left(run, reached) for run in group))


def _left(run: RunConfig, reached: Mapping[str, int]) -> float:
    return operations(run) * (1 - reached.get(run.id, 0) / run.recipe.steps)


def take(group: Group, ledger: Ledger) -> Iterator[PackPlan]:
    """Hold the runs of a group that nobody alive holds, and plan those still missing.

    Only now is the ledger asked where each goes on: another sweep may have trained them meanwhile, in
    part or to the end. What was recorded after a run's checkpoint is dropped.
    """
    held = [run for run in group if ledger.holds.take(run.id)]
    left = missing(held, ledger)
    for run_id in {run.id for run in held} - {run.id for run in left}:
        ledger.holds.release(run_id)
    starts: dict[int, list[tuple[RunConfig, Resume | None]]] = defaultdict(list)
    for run in left:
        saved = ledger.resume(run.id)
        starts[saved.step if saved else 0].append((run, saved))
    for members in starts.values():
        yield PackPlan(tuple(run for run, _ in members), {run.id: saved for run, saved in members if saved})
