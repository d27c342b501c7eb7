"""What is left to do: wanted minus stored, grouped into packs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from memspan.config import RunConfig
from memspan.ledger import Ledger, Resume
from memspan.ledger.records import DONE

T = TypeVar("T")

_GATES = {"rnn": 1, "gru": 3}  # others have 4; written here because a cell's class would import torch


@dataclass(frozen=True)
class PackPlan:
    """Runs to be trained together, and the states they go on from.

    Args:
        runs: configs of equal shape, all at the same step.
        resume: run id → stored state, empty for a start from nothing.
    """

    runs: tuple[RunConfig, ...]
    resume: Mapping[str, Resume]

    @property
    def start(self) -> int:
        """Step from which the pack goes on."""
        return next((saved.step for saved in self.resume.values()), 0)

    @property
    def operations(self) -> float:
        """Floating-point operations left, 3·2·T·B·G·H·(H + D) a step and replica."""
        return sum(operations(run) for run in self.runs) * (1 - self.start / self.runs[0].recipe.steps)


def operations(run: RunConfig) -> float:
    """Return the floating-point operations of a whole run's recurrent and input products."""
    recipe, width = run.recipe, 1 if run.recipe.coding == "scalar" else run.task.symbols
    rows = _GATES.get(recipe.cell, 4) * recipe.hidden
    return 6.0 * recipe.steps * run.task.steps * recipe.batch * rows * (recipe.hidden + width)


def missing(runs: Iterable[RunConfig], ledger: Ledger) -> list[RunConfig]:
    """Return the wanted runs that are neither finished nor stopped, each once, in the order given."""
    unique = {run.id: run for run in runs}
    status = ledger.statuses(unique)
    return [run for run_id, run in unique.items() if status.get(run_id) not in DONE]


def packs(runs: Sequence[RunConfig], ledger: Ledger, *, workers: int, largest: int = 8) -> list[PackPlan]:
    """Group runs into packs, the longest first, none so large that a worker would stand idle.

    Args:
        runs: what is missing.
        ledger: asked for the checkpoints to go on from; what was recorded after one is dropped.
        workers: packs that will be trained at once.
        largest: most replicas in a pack.
    """
    groups: dict[object, list[tuple[RunConfig, Resume | None]]] = defaultdict(list)
    for run in runs:
        saved = ledger.resume(run.id)
        groups[run.shape(), saved.step if saved else 0].append((run, saved))
    plans = [
        _pack(part)
        for members in groups.values()
        for part in _split(members, _pack_size(len(members), workers, len(groups), largest))
    ]
    return sorted(plans, key=lambda plan: -plan.operations)


def _pack_size(members: int, workers: int, groups: int, largest: int) -> int:
    if groups >= 2 * workers:
        return largest
    return min(largest, -(-members // workers))


def _split(members: list[T], size: int) -> list[list[T]]:
    """Cut a list into parts of at most ``size``, as even as can be."""
    parts = -(-len(members) // size)
    return [members[k::parts] for k in range(parts)]


def _pack(members: Sequence[tuple[RunConfig, Resume | None]]) -> PackPlan:
    return PackPlan(tuple(run for run, _ in members), {run.id: saved for run, saved in members if saved})
