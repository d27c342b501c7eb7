"""The search for a memory span: which runs to ask for next, given what is known.

Lengths rise geometrically until one is too long, then the gap is bisected. Every length begins with five
seeds and gets ten, then twenty, only while the Wilson interval of its share still spans the share that is
sought. What is asked next follows from the answers alone, so a search goes on from a ledger and trains
nothing twice.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from memspan.config import Recipe, RunConfig
from memspan.errors import ArgumentError
from memspan.ledger import Ledger, RunRecord
from memspan.statistics import wilson
from memspan.study.span import Solved, Span, held, is_solved, measured_span, run_of
from memspan.tasks import TASKS

SEEDS = (5, 10, 20)
"""Seeds of a length at first; then, while it is open, up to these."""


@dataclass(frozen=True)
class SpanSearch:
    """What is asked: up to which length does a recipe solve a task?

    Args:
        recipe: everything but task, length and seed.
        task: a registered task with an axis.
        seeds: the seeds that may be spent at a length, in this order.
        shortest, longest: the lengths it may ask; by default the task's own range.
        share: of the seeds that must hold a length; 0.5 seeks span50.
        ratio: of one length to the last, until one is too long.
        resolution: the gap that ends the bisection, as a ratio.
        first: seeds a length begins with.

    Raises:
        ArgumentError: a task without an axis, no seed, or lengths and ratios that cannot be meant.
    """

    recipe: Recipe = field(default_factory=Recipe)
    task: str = "palindrome"
    seeds: tuple[int, ...] = tuple(range(10))
    shortest: int | None = None
    longest: int | None = None
    share: float = 0.5
    ratio: float = 2.0
    resolution: float = 1.15
    first: int = SEEDS[0]

    def __post_init__(self) -> None:
        if not TASKS.resolve(self.task).axis:
            axes = ", ".join(name for name in TASKS if TASKS.resolve(name).axis)
            raise ArgumentError(f"task {self.task!r} has no axis of difficulty; tasks with one: {axes}")
        low, high = self.range
        if not (0 < low <= high):
            raise ArgumentError(f"lengths {low} … {high}: expected 1 ≤ shortest ≤ longest")
        if not self.seeds or len(set(self.seeds)) < len(self.seeds) or self.first < 1:
            raise ArgumentError(
                f"seeds {self.seeds!r}, {self.first} at first: expected at least one, each once"
            )
        if not (0 < self.share < 1 and self.ratio > 1 and self.resolution > 1):
            raise ArgumentError(
                f"share {self.share:g}, ratio {self.ratio:g}, resolution {self.resolution:g}:"
                " expected a share in (0, 1) and ratios above 1"
            )
        self.run(low, self.seeds[0]), self.run(high, self.seeds[0])

    @property
    def range(self) -> tuple[int, int]:
        """The shortest and the longest length that may be asked."""
        low, high = TASKS.resolve(self.task).span_range
        return low if self.shortest is None else self.shortest, high if self.longest is None else self.longest

    def run(self, length: int, seed: int) -> RunConfig:
        """Return the run of one length and seed."""
        return run_of(self.task, length, self.recipe, seed)

    def grid(self) -> list[int]:
        """Return the lengths that are asked first, from the shortest to the longest."""
        low, high = self.range
        lengths = [low]
        while lengths[-1] < high:
            lengths.append(min(high, max(lengths[-1] + 1, round(lengths[-1] * self.ratio))))
        return lengths

    def finding(self, solved: Solved, length: int) -> bool | None:
        """Return whether at least ``share`` of the seeds hold a length, None while more seeds should tell."""
        asked = len(solved.get(length, {}))
        if asked < min(self.first, len(self.seeds)):
            return None
        holding = held(solved, length)
        share = wilson(sum(holding), len(holding))
        if (share.low or 0.0) > self.share:
            return True
        if (share.high or 1.0) < self.share:
            return False
        if asked < min(len(self.seeds), SEEDS[-1]):
            return None
        return sum(holding) >= self.share * len(holding)

    def next(self, solved: Solved) -> tuple[int, tuple[int, ...]] | None:
        """Return the length and the seeds to ask next, None when the span is known."""
        for length in self._course(solved):
            asked = solved.get(length, {})
            most = next((n for n in (self.first, *SEEDS) if n > len(asked)), len(self.seeds))
            return length, tuple(seed for seed in self.seeds[:most] if seed not in asked)
        return None

    def _course(self, solved: Solved) -> Iterator[int]:
        """Yield the length that is open now, or nothing."""
        low, high = 0, 0
        for length in self.grid():
            found = self.finding(solved, length)
            if found is None:
                yield length
                return
            if not found:
                high = length
                break
            low = length
        while low and high > low + 1 and high > low * self.resolution:
            middle = min(high - 1, max(low + 1, round(math.sqrt(low * high))))
            found = self.finding(solved, middle)
            if found is None:
                yield middle
                return
            low, high = (middle, high) if found else (low, middle)


Records = dict[int, list[RunRecord]]
Sweep = Callable[[Sequence[RunConfig]], None]


def search_spans(searches: Sequence[SpanSearch], ledger: Ledger, train: Sweep) -> list[Span]:
    """Train what searches ask for, as long as one of them asks, and return their spans.

    The questions of all go into one sweep, so that no core waits for the last run of a single length.

    Args:
        searches: what is asked.
        ledger: what is stored.
        train: sees to it that the ledger holds these runs, for instance ``sweep``.
    """
    found: list[Records] = [{} for _ in searches]
    while any(asked := [_asked(search, known) for search, known in zip(searches, found, strict=True)]):
        train([run for runs in asked for run in runs])
        for known, runs in zip(found, asked, strict=True):
            for run in runs:
                known.setdefault(getattr(run.task, run.task.axis), []).append(_stored(ledger, run))
    return [
        measured_span(search.recipe, search.task, search.range[1], known)
        for search, known in zip(searches, found, strict=True)
    ]


def search_span(search: SpanSearch, ledger: Ledger, train: Sweep) -> Span:
    """Return the span of one search; see ``search_spans``."""
    return search_spans([search], ledger, train)[0]


def stored_span(search: SpanSearch, ledger: Ledger) -> Span | None:
    """Return the span if the ledger holds every run the search asks for, else None; nothing is trained."""
    try:
        return search_span(search, ledger, lambda runs: None)
    except KeyError:
        return None


def asked_so_far(search: SpanSearch, ledger: Ledger) -> set[str]:
    """Return the ids of the runs a search asks for, up to the first question the ledger cannot answer."""
    ids: set[str] = set()
    with suppress(KeyError):
        search_span(search, ledger, lambda runs: ids.update(run.id for run in runs))
    return ids


def _asked(search: SpanSearch, known: Records) -> list[RunConfig]:
    """Return the runs of a search's next question, none when its span is known."""
    length, seeds = search.next(_solved(known)) or (0, ())
    return [search.run(length, seed) for seed in seeds]


def _stored(ledger: Ledger, run: RunConfig) -> RunRecord:
    record = ledger.get(run.id)
    if record is None or not record.done:
        raise KeyError(run.id)
    return record


def _solved(records: Mapping[int, Sequence[RunRecord]]) -> Solved:
    return {at: {run.config["seed"]: is_solved(run) for run in runs} for at, runs in records.items()}


def possible_runs(search: SpanSearch) -> list[list[RunConfig]]:
    """Return the runs of every course the search can take if each seed fails at one and the same length."""
    courses = []
    for cut in [0, *search.grid()]:
        solved: dict[int, dict[int, bool]] = {}
        while question := search.next(solved):
            length, seeds = question
            solved.setdefault(length, {}).update(dict.fromkeys(seeds, length <= cut))
        courses.append([search.run(at, seed) for at, seeds in solved.items() for seed in seeds])
    return courses
