"""The local engine: one spawned process a worker, packs handed out one at a time, events back by pipe.

Workers write nothing. Where a worker dies the others go on, and the driver plans again.
"""

from __future__ import annotations

import multiprocessing
import signal
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from memspan.errors import MemspanError
from memspan.ledger.events import Event
from memspan.machine import cores
from memspan.sweep.plan import PackPlan

_STOP = "stop"
_IDLE = "idle"


@dataclass(frozen=True)
class Crash:
    """A pack whose worker did not end well, and why."""

    plan: PackPlan
    reason: str


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    plan: PackPlan | None = None


class LocalEngine:
    """Trains packs in processes on this machine.

    Args:
        workers: processes; by default one a core.
        threads: kernel threads in each; by default the cores the workers leave over.
        kernel: see ``memspan.kernels.unroll``.
    """

    def __init__(self, workers: int | None = None, threads: int | None = None, kernel: str = "auto") -> None:
        self.cores, self.workers = cores(), workers or cores()
        self.threads, self.kernel = threads, kernel
        self.crashes: list[Crash] = []
        self._stopping = False

    def stop(self) -> None:
        """Ask every worker to finish its step, checkpoint and end; no new pack is handed out."""
        self._stopping = True

    def run(self, plans: Sequence[PackPlan]) -> Iterator[Event]:
        """Train packs and yield their events as they come."""
        queue, self.crashes, self._stopping = list(plans), [], False
        n = min(self.workers, len(queue))
        threads = self.threads or max(1, self.cores // max(1, n))
        workers = [self._spawn(threads) for _ in range(n)]
        try:
            for worker in workers:
                self._hand_out(worker, queue)
            yield from self._listen(workers, queue)
        finally:
            for worker in workers:
                worker.pipe.close()
                worker.process.kill()
                worker.process.join()

    def _spawn(self, threads: int) -> _Worker:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=work, args=(theirs, threads, self.kernel), daemon=True)
        process.start()
        theirs.close()
        return _Worker(process, ours)

    def _hand_out(self, worker: _Worker, queue: list[PackPlan]) -> None:
        worker.plan = queue.pop(0) if queue and not self._stopping else None
        if worker.plan is not None:
            worker.pipe.send(worker.plan)

    def _listen(self, workers: Sequence[_Worker], queue: list[PackPlan]) -> Iterator[Event]:
        told = False
        while busy := [worker for worker in workers if worker.plan is not None]:
            if self._stopping and not told:
                told = True
                for worker in busy:
                    worker.pipe.send(_STOP)
            ready = wait([worker.pipe for worker in busy], timeout=0.1)
            for worker in busy:
                if worker.pipe in ready:
                    yield from self._receive(worker, queue)

    def _receive(self, worker: _Worker, queue: list[PackPlan]) -> Iterator[Event]:
        plan = worker.plan
        assert plan is not None
        try:
            message = worker.pipe.recv()
        except (EOFError, ConnectionResetError):
            worker.process.join()
            self.crashes.append(Crash(plan, f"worker ended with exit code {worker.process.exitcode}"))
            worker.plan = None
            return
        if isinstance(message, MemspanError):
            raise message
        if isinstance(message, Event):
            yield message
            return
        if message == _IDLE:
            self._hand_out(worker, queue)
        else:  # a traceback; the worker says that it is idle right after
            self.crashes.append(Crash(plan, message))


def work(pipe: Connection, threads: int, kernel: str) -> None:
    """Train the packs that come through a pipe until it closes; a worker's main function."""
    for number in (signal.SIGINT, signal.SIGTERM):  # the parent decides when to stop
        signal.signal(number, signal.SIG_IGN)
    try:
        while True:
            _train(pipe, pipe.recv(), threads, kernel)
            pipe.send(_IDLE)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


def _train(pipe: Connection, plan: PackPlan, threads: int, kernel: str) -> None:
    try:
        from memspan.training.train import train  # here: a plan is made without torch

        stop = _StopSign(pipe)
        for event in train(plan.runs, plan.resume, threads=threads, kernel=kernel, should_stop=stop.up):
            pipe.send(event)
    except MemspanError as error:
        pipe.send(error)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        raise
    except Exception:
        pipe.send(traceback.format_exc())


class _StopSign:
    """Looks for the parent's stop ten times a second; a look costs as much as a small step."""

    def __init__(self, pipe: Connection) -> None:
        self.pipe, self.looked = pipe, time.monotonic()

    def up(self) -> bool:
        now = time.monotonic()
        if now - self.looked < 0.1:
            return False
        self.looked = now
        return self.pipe.poll() and self.pipe.recv() == _STOP
