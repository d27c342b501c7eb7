"""What the sweep asks of whatever trains packs."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Protocol

from memspan.ledger.events import Event
from memspan.sweep.plan import PackPlan


@dataclass(frozen=True)
class Crash:
    """A pack whose worker did not end well, and why."""

    plan: PackPlan
    reason: str


class Engine(Protocol):
    """Trains packs somewhere. It writes nothing: every event goes back to the one who keeps the ledger."""

    @property
    def workers(self) -> int:
        """Packs trained at once."""

    @property
    def room(self) -> float:
        """Bytes of memory that all workers together may use."""

    def run(self, plans: Iterator[PackPlan]) -> Generator[Event | Crash]:
        """Train packs and yield their events as they come.

        A plan is drawn when there is room to train it: until then its runs are free for another sweep.
        Once closed, it trains nothing any more.
        """

    def stop(self) -> None:
        """Draw no more plans, end those in training with checkpoints, and start nothing new ever after."""
