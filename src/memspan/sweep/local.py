"""The local engine: one spawned process a worker, packs handed out one at a time, events back by pipe.

Workers write nothing. Where a worker dies another takes its place, and the driver plans its pack again.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from memspan.errors import MemspanError
from memspan.ledger.events import Event
from memspan.machine import cores, free_memory
from memspan.sweep.engine import Crash
from memspan.sweep.plan import PackPlan
from memspan.sweep.worker import CHECKPOINT_EVERY, How, training

_STOP = "stop"
_IDLE = "idle"
_GONE = (EOFError, BrokenPipeError, ConnectionResetError)


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    plan: PackPlan

    def send(self, message: object) -> None:
        """Send; that the process is gone will be noticed where it is listened to."""
        with contextlib.suppress(*_GONE):
            self.pipe.send(message)

    def messages(self) -> list[Any]:
        """Return all that waits in the pipe; None at its end, when the process is gone."""
        found: list[Any] = []
        try:
            while not found or self.pipe.poll():
                found.append(self.pipe.recv())
        except _GONE:
            found.append(None)
        return found

    def end(self) -> None:
        """End the process, whatever it does."""
        self.pipe.close()
        self.process.kill()
        self.process.join()


class LocalEngine:
    """Trains packs in processes on this machine.

    Args:
        workers: processes; by default one a core.
        threads: kernel threads in each; by default the cores the workers leave over.
        kernel, checkpoint_every: see ``How``.
    """

    def __init__(
        self,
        workers: int | None = None,
        threads: int | None = None,
        kernel: str = "auto",
        checkpoint_every: float = CHECKPOINT_EVERY,
    ) -> None:
        self.workers, self.threads, self.kernel = workers or cores(), threads, kernel
        self.checkpoint_every = checkpoint_every
        self._stopping = False

    @property
    def room(self) -> float:
        """Nine tenths of the memory that is free; the rest is for whoever else is here."""
        return 0.9 * free_memory()

    def stop(self) -> None:
        """Ask every worker to finish its step, checkpoint and end; nothing new is begun."""
        self._stopping = True

    def run(self, plans: Iterator[PackPlan]) -> Generator[Event | Crash]:
        """Train packs and yield their events as they come."""
        first = [plan for _ in range(self.workers) if (plan := self._next(plans))]
        how = How(self.threads or max(1, cores() // max(1, len(first))), self.kernel, self.checkpoint_every)
        busy: list[_Worker] = []
        try:
            busy.extend(self._spawn(plan, how) for plan in first)
            for worker in busy:  # only now: a large plan waits for its worker, and all start meanwhile
                worker.send(worker.plan)
            yield from self._listen(busy, plans, how)
        finally:
            for worker in busy:
                worker.end()

    def _next(self, plans: Iterator[PackPlan]) -> PackPlan | None:
        return None if self._stopping else next(plans, None)

    def _spawn(self, plan: PackPlan, how: How) -> _Worker:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=work, args=(theirs, how), daemon=True)
        with _held_signals():
            process.start()
        theirs.close()
        return _Worker(process, ours, plan)

    def _listen(self, busy: list[_Worker], plans: Iterator[PackPlan], how: How) -> Iterator[Event | Crash]:
        told = False
        while busy:
            if self._stopping and not told:
                told = True
                for worker in busy:
                    worker.send(_STOP)
            ready = wait([worker.pipe for worker in busy], timeout=0.1)
            for worker in [worker for worker in busy if worker.pipe in ready]:
                yield from self._receive(worker, busy, plans, how)

    def _receive(
        self, worker: _Worker, busy: list[_Worker], plans: Iterator[PackPlan], how: How
    ) -> Iterator[Event | Crash]:
        """Yield what a worker says; it gets its next pack before that is stored, and waits for no disk."""
        plan, said = worker.plan, worker.messages()
        if said[-1] == _IDLE:
            self._hand_out(worker, busy, plans)
        elif said[-1] is None:
            worker.process.join(5.0)  # it closes its pipe a moment before it has an exit code
            worker.end()
            busy.remove(worker)
        for message in said:
            if isinstance(message, MemspanError):
                raise message
            if isinstance(message, Event):
                yield message
            elif message is None:
                yield Crash(plan, f"worker ended with exit code {worker.process.exitcode}")
            elif message != _IDLE:
                yield Crash(plan, message)
        if said[-1] is None and (fresh := self._next(plans)):
            busy.append(self._spawn(fresh, how))
            busy[-1].send(fresh)

    def _hand_out(self, worker: _Worker, busy: list[_Worker], plans: Iterator[PackPlan]) -> None:
        following = self._next(plans)
        if following is None:
            worker.end()
            busy.remove(worker)
        else:
            worker.plan = following
            worker.send(following)


@contextlib.contextmanager
def _held_signals() -> Iterator[None]:
    """Start processes that Ctrl-C never reaches: a terminal sends it to them too, while they still import.

    Held back, not ignored: one that comes meanwhile reaches this process afterwards.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def work(pipe: Connection, how: How) -> None:
    """Train the packs that come through a pipe until it closes; a worker's main function."""
    for number in (signal.SIGINT, signal.SIGTERM):  # the parent decides when to stop
        signal.signal(number, signal.SIG_IGN)
    with contextlib.suppress(*_GONE):
        while True:
            plan = pipe.recv()
            if plan != _STOP:  # told to stop between two packs: the pipe will close
                for message in training(plan, how, _StopSign(pipe).up):
                    pipe.send(message)
            pipe.send(_IDLE)


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
