"""The driver: plan what is missing, let an engine train it, keep every event, plan again after a crash."""

from __future__ import annotations

import signal
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from types import FrameType

from memspan.config import RunConfig
from memspan.errors import MemspanError
from memspan.ledger import Ledger
from memspan.ledger.events import Checkpoint, Event, Finished, Stopped
from memspan.sweep.engine import Crash, Engine
from memspan.sweep.longer import inherit
from memspan.sweep.plan import LARGEST, PackPlan, missing, packs, take

SIZES = (LARGEST, LARGEST // 2, 1)
"""Most replicas in a run's pack at its first try, its second and its last.

What ran out of memory in company may fit alone, and a run that kills its worker ends up dying alone.
"""

PATIENCE = 1.0
"""Seconds between two looks at runs that another process trains."""


class SweepError(MemspanError, RuntimeError):
    """Some runs could not be trained; what finished is kept."""


class InterruptedSweepError(MemspanError, RuntimeError):
    """The user asked to stop; every run is checkpointed.

    Args:
        message: how many runs are left.
        signal: the number of the signal that came first.
    """

    def __init__(self, message: str, signal: int = signal.SIGINT) -> None:
        super().__init__(message)
        self.signal = int(signal)


def sweep(
    runs: Sequence[RunConfig],
    ledger: Ledger,
    engine: Engine,
    listen: Callable[[Event], None] = lambda event: None,
    wait: Callable[[int], None] = lambda left: None,
) -> None:
    """Train every wanted run that the ledger does not hold yet.

    Runs that another living process trains are left to it and waited for; should it die, they are taken over.

    Args:
        runs: what is wanted.
        ledger: what is stored; gets every event.
        engine: trains packs.
        listen: called with every event, for a progress bar.
        wait: called with the number of runs left, about once a second while others train all of them.

    Raises:
        InterruptedSweepError: Ctrl-C or SIGTERM; a second Ctrl-C raises KeyboardInterrupt at once.
        SweepError: a run's workers died once for each of ``SIZES`` without getting on; the others are done.
    """
    ledger.register(runs)
    inherit(runs, ledger)
    crashes: dict[str, list[str]] = defaultdict(list)
    with _stops_on_signal(engine) as stopped:
        while left := [run for run in missing(runs, ledger) if len(crashes[run.id]) < len(SIZES)]:
            trained = _train(left, ledger, engine, crashes, listen)
            if number := stopped():
                raise InterruptedSweepError(
                    f"stopped; {len(missing(runs, ledger))} runs left, the same command goes on", number
                )
            if not trained:
                wait(len(left))
                time.sleep(PATIENCE)
    if lost := missing(runs, ledger):
        raise SweepError(_complaint(lost, crashes))


def _train(
    left: Sequence[RunConfig],
    ledger: Ledger,
    engine: Engine,
    crashes: dict[str, list[str]],
    listen: Callable[[Event], None],
) -> bool:
    """Go through what is left once, and return whether there was anything that nobody else trains."""
    trained = False
    groups = packs(
        left,
        ledger.checkpointed(run.id for run in left),
        workers=engine.workers,
        room=engine.room,
        largest=lambda run: SIZES[len(crashes[run.id])],
    )

    def plans() -> Iterator[PackPlan]:
        nonlocal trained
        for group in groups:
            for plan in take(group, ledger):
                trained = True
                yield plan

    try:
        with closing(engine.run(plans())) as reports:
            for news in reports:
                _keep(news, ledger, crashes, listen)
    finally:
        ledger.holds.release_all()
    return trained


def _keep(
    news: Event | Crash,
    ledger: Ledger,
    crashes: dict[str, list[str]],
    listen: Callable[[Event], None],
) -> None:
    if isinstance(news, Crash):
        for run in news.plan.runs:
            crashes[run.id].append(news.reason.strip())
            ledger.holds.release(run.id)
        return
    ledger.append(news)
    listen(news)
    if isinstance(news, Checkpoint):  # who gets on is never given up, however often its machine is lost
        crashes[news.run_id].clear()
    if isinstance(news, Finished | Stopped):
        ledger.holds.release(news.run_id)


def _complaint(lost: Sequence[RunConfig], crashes: dict[str, list[str]]) -> str:
    first = lost[0].id
    return (
        f"{len(lost)} runs were given up after their workers failed {len(SIZES)} times; "
        f"the first, {first}: {crashes[first][-1]}"
    )


@contextmanager
def _stops_on_signal(engine: Engine) -> Iterator[Callable[[], int]]:
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
        yield lambda: seen[0] if seen else 0
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
