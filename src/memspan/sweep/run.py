"""The driver: plan what is missing, let an engine train it, keep every event, plan again after a crash."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Protocol

from memspan.config import RunConfig
from memspan.errors import MemspanError
from memspan.ledger import Ledger
from memspan.ledger.events import Event
from memspan.sweep.local import Crash
from memspan.sweep.plan import PackPlan, missing, packs

ROUNDS = 3
"""How often a pack whose worker died is tried before the sweep gives up on it."""


class Engine(Protocol):
    """Whatever can train packs."""

    workers: int
    crashes: list[Crash]

    def run(self, plans: Sequence[PackPlan]) -> Iterator[Event]:
        """Train packs and yield their events."""

    def stop(self) -> None:
        """End soon, with checkpoints."""


class SweepError(MemspanError, RuntimeError):
    """Some runs could not be trained; what finished is kept."""


class InterruptedSweepError(MemspanError, RuntimeError):
    """The user asked to stop; every run is checkpointed."""


def sweep(
    runs: Sequence[RunConfig],
    ledger: Ledger,
    engine: Engine,
    listen: Callable[[Event], None] = lambda event: None,
) -> None:
    """Train every wanted run that the ledger does not hold yet.

    Args:
        runs: what is wanted.
        ledger: what is stored; gets every event.
        engine: trains packs.
        listen: called with every event, for a progress bar.

    Raises:
        InterruptedSweepError: Ctrl-C or SIGTERM; a second Ctrl-C raises KeyboardInterrupt at once.
        SweepError: a pack's worker died ``ROUNDS`` times.
    """
    ledger.register(runs)
    with _stops_on_signal(engine) as stopped:
        for _ in range(ROUNDS):
            left = missing(runs, ledger)
            if not left:
                return
            for event in engine.run(packs(left, ledger, workers=engine.workers)):
                ledger.append(event)
                listen(event)
            if stopped():
                raise InterruptedSweepError(
                    f"stopped; {len(missing(runs, ledger))} runs left, the same command goes on"
                )
    if missing(runs, ledger):
        raise SweepError(_complaint(engine.crashes))


def _complaint(crashes: Sequence[Crash]) -> str:
    first = crashes[0]
    which = ", ".join(run.id for run in first.plan.runs)
    return f"{len(crashes)} packs failed {ROUNDS} times; the first ({which}): {first.reason.strip()}"


@contextmanager
def _stops_on_signal(engine: Engine) -> Iterator[Callable[[], bool]]:
    """The first SIGINT or SIGTERM stops the engine gently, a second SIGINT at once."""
    seen: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        if seen and number == signal.SIGINT:
            raise KeyboardInterrupt
        seen.append(number)
        engine.stop()

    try:
        before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not the main thread: whoever runs us there handles signals
        before = {}
    try:
        yield lambda: bool(seen)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
