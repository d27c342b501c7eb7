"""What every worker does with a pack, wherever it runs."""

from __future__ import annotations

import dataclasses
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from memspan.errors import MemspanError
from memspan.ledger.events import Event
from memspan.sweep.plan import PackPlan

Message = Event | MemspanError | str
"""What a worker says: an event, a mistake that ends the sweep, or the traceback of what ends its pack."""


CHECKPOINT_EVERY = 20.0
"""Seconds between two checkpoints: what a kill costs each pack in training is this and one step at most."""


@dataclass(frozen=True)
class How:
    """How a worker trains; none of it changes a result.

    Args:
        threads: kernel threads.
        kernel: see ``memspan.kernels.unroll``.
        checkpoint_every, progress_every: seconds between two checkpoints, two signs of life.
    """

    threads: int = 1
    kernel: str = "auto"
    checkpoint_every: float = CHECKPOINT_EVERY
    progress_every: float = 0.5


def training(plan: PackPlan, how: How, should_stop: Callable[[], bool]) -> Iterator[Message]:
    """Train a pack and yield what there is to say; raises nothing."""
    try:
        from memspan.training.train import train  # here: a plan is made without torch

        yield from train(plan.runs, plan.resume, should_stop=should_stop, **dataclasses.asdict(how))
    except MemspanError as error:
        yield error
    except Exception:
        yield traceback.format_exc()
