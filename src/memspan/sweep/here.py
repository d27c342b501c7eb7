"""The engine without workers: packs are trained in this process, one after the other."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

from memspan.ledger.events import Event
from memspan.sweep.engine import Crash
from memspan.sweep.plan import PackPlan

if TYPE_CHECKING:
    from memspan.training.train import Training


class InThisProcess:
    """Trains packs here, with a sign of life after every step: a listener may look at ``training`` meanwhile.

    Args:
        threads: kernel threads.
        kernel: see ``memspan.kernels.unroll``.
    """

    workers, room = 1, math.inf

    def __init__(self, threads: int = 1, kernel: str = "auto") -> None:
        self.threads, self.kernel = threads, kernel
        self.training: Training | None = None
        self._stopping = False

    def run(self, plans: Iterator[PackPlan]) -> Generator[Event | Crash]:
        """Train packs and yield their events; what goes wrong is raised, not reported."""
        from memspan.training.train import Training

        for plan in plans:
            self.training = Training(
                plan.runs,
                plan.resume,
                threads=self.threads,
                kernel=self.kernel,  # type: ignore[arg-type]
                progress_every=0.0,
                should_stop=lambda: self._stopping,
            )
            yield from self.training.events()
            if self._stopping:
                return

    def stop(self) -> None:
        """End with a checkpoint after the step at hand."""
        self._stopping = True
