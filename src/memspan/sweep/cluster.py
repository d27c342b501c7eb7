"""The Ray engine: packs as tasks on many machines, states through a shared folder, events to the one writer.

A task is never retried by Ray: where a machine is lost, the driver plans the pack again from the last
checkpoint that reached the ledger. States do not travel: a worker stages them beside the ledger's
checkpoints, on a folder that every machine sees, and the ledger moves them to their place.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Generator, Iterator
from typing import Any

from memspan.errors import ArgumentError, MemspanError
from memspan.ledger.checkpoints import CheckpointFolder
from memspan.ledger.events import Checkpoint, Event, Finished
from memspan.sweep.engine import Crash
from memspan.sweep.plan import PackPlan
from memspan.sweep.worker import CHECKPOINT_EVERY, How, Message, training


class RayEngine:
    """Trains packs as Ray tasks.

    Args:
        files: the ledger's checkpoints (``Ledger.files``), on a folder that every machine sees.
        address: the cluster to join, ``"auto"`` for the one this machine belongs to; None starts one here,
            unless this process has joined one already.
        workers: packs in training at once; by default what the cluster has room for, asked again and again.
        threads: CPUs, and kernel threads, of each pack.
        gpus: share of a GPU that each pack takes.
        kernel, checkpoint_every: see ``How``.

    Raises:
        ArgumentError: Ray is not installed, or there is no cluster at the address.
    """

    def __init__(
        self,
        files: CheckpointFolder,
        *,
        address: str | None = None,
        workers: int | None = None,
        threads: int = 1,
        gpus: float = 0.0,
        kernel: str = "auto",
        checkpoint_every: float = CHECKPOINT_EVERY,
    ) -> None:
        self._ray = _joined(address)
        self.files = CheckpointFolder(files.path.resolve())
        self.gpus, self.how = gpus, How(threads, kernel, checkpoint_every, progress_every=5.0)
        self._limit, self._stopping = workers, False
        share = {"num_cpus": threads, "num_gpus": gpus}
        self._start = self._ray.remote(train_there).options(num_returns="streaming", max_retries=0, **share)
        self._sign = self._ray.remote(num_cpus=0)(_StopSign).options(**self._here()).remote()

    def _here(self) -> dict[str, Any]:
        """Return the options that keep something on this machine, which outlives every other."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        node = self._ray.get_runtime_context().get_node_id()
        return {"scheduling_strategy": NodeAffinitySchedulingStrategy(node, soft=False)}

    @property
    def workers(self) -> int:
        """Packs for which the cluster has room now; machines may join and leave."""
        have = self._ray.cluster_resources()
        places = have.get("CPU", 0) // self.how.threads
        if self.gpus:
            places = min(places, have.get("GPU", 0) // self.gpus)
        return self._limit or max(1, int(places))

    @property
    def room(self) -> float:
        """Bytes of memory that Ray counts on all machines together."""
        return self._ray.cluster_resources().get("memory", 0.0)

    def stop(self) -> None:
        """Ask every worker to finish its step, checkpoint and end; nothing new is begun."""
        self._stopping = True

    def run(self, plans: Iterator[PackPlan]) -> Generator[Event | Crash]:
        """Train packs and yield their events as they come."""
        self.files.staging.mkdir(parents=True, exist_ok=True)
        running: dict[Any, PackPlan] = {}
        told = False
        try:
            while self._begin(running, plans):
                if self._stopping and not told:
                    told = True
                    self._sign.put_up.remote()
                for task in self._ready(list(running)):
                    yield from self._receive(task, running)
        finally:
            for task in running:
                self._ray.cancel(task, force=True)

    def _begin(self, running: dict[Any, PackPlan], plans: Iterator[PackPlan]) -> bool:
        """Start tasks while there is room, and return whether any is running."""
        room = 0 if self._stopping else self.workers - len(running)
        for _ in range(room):
            plan = next(plans, None)
            if plan is None:
                break
            running[self._start.remote(plan, self.files, self._sign, self.how)] = plan
        return bool(running)

    def _ready(self, tasks: list[Any]) -> list[Any]:
        """Return every task that has something to say; where none has, wait a little for the first."""
        if not self._ray.wait(tasks, num_returns=1, timeout=0.05)[0]:
            return []
        ready: list[Any] = self._ray.wait(tasks, num_returns=len(tasks), timeout=0)[0]
        return ready

    def _receive(self, task: Any, running: dict[Any, PackPlan]) -> Iterator[Event | Crash]:
        """Yield what one task says next, if only that it is over."""
        try:
            message = self._ray.get(next(task))
        except StopIteration:
            del running[task]
            return
        except self._ray.exceptions.RayError as error:  # the worker or its machine is gone, or the message is
            self._ray.cancel(task, force=True)
            yield Crash(running.pop(task), f"{type(error).__name__}: {str(error).strip().splitlines()[0]}")
            return
        if isinstance(message, MemspanError):
            raise message
        yield message if isinstance(message, Event) else Crash(running[task], message)


def train_there(plan: PackPlan, files: CheckpointFolder, sign: Any, how: How) -> Iterator[Message]:
    """Train a pack on whatever machine Ray has chosen, and leave its states in the shared folder."""
    for message in training(plan, how, _Look(sign).up):
        try:
            staged = isinstance(message, Checkpoint | Finished) and message.state
            yield files.stage(message) if staged else message  # type: ignore[arg-type]
        except MemspanError as error:
            yield error
            return


class _StopSign:
    """An actor on the driver's machine; gone with the driver, which stops everybody too."""

    def __init__(self) -> None:
        self.is_up = False

    def put_up(self) -> None:
        self.is_up = True

    def look(self) -> bool:
        return self.is_up


class _Look:
    """Looks at the sign once a second; a look costs about a millisecond."""

    def __init__(self, sign: Any) -> None:
        self.sign, self.looked = sign, time.monotonic()

    def up(self) -> bool:
        import ray

        if time.monotonic() - self.looked < 1.0:
            return False
        self.looked = time.monotonic()
        try:
            return ray.get(self.sign.look.remote())
        except ray.exceptions.RayError:
            return True


def _joined(address: str | None) -> Any:
    """Return Ray, connected to a cluster."""
    try:
        import ray
    except ImportError:
        raise ArgumentError(
            'engine ray needs Ray, which is not installed; run: pip install "memspan[ray]"'
        ) from None
    if not ray.is_initialized():
        try:
            ray.init(address=address or "local", log_to_driver=False, logging_level=logging.WARNING)
        except ConnectionError as error:
            raise ArgumentError(
                f"no Ray cluster at address {address!r} ({error}); start one with ray start --head"
            ) from None
    return ray
