"""Worker threads of the CPU kernel, and peace with torch's own.

torch's OpenMP workers spin for milliseconds after every operation and hold the cores our threads need. So
around a call with several threads torch is held to one, and the OpenMP pool it spun up is let go.
"""

from __future__ import annotations

import contextlib
import contextvars
import ctypes
import dataclasses
import functools
import itertools
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from queue import SimpleQueue
from types import ModuleType
from typing import Any

import numpy as np
import torch

from memspan.kernels.cpu.memory import LINE

_PAUSE_SOFT = 1


@functools.cache
def _openmp() -> ctypes.CDLL | None:
    """Return the GNU OpenMP library torch loaded, or None where it uses another."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        maps = Path("/proc/self/maps").read_text(encoding="utf-8")
        found = [line.split()[-1] for line in maps.splitlines() if "libgomp" in line]
        library = next((path for path in found if "torch" in path), found[0] if found else None)
        loaded = ctypes.CDLL(library) if library else None
        return loaded if loaded is not None and hasattr(loaded, "omp_pause_resource_all") else None
    except OSError:
        return None


_WANTED: contextvars.ContextVar[int | None] = contextvars.ContextVar("kernel threads", default=None)


@contextlib.contextmanager
def kernel_threads(n: int) -> Iterator[None]:
    """Give the kernels n threads inside the block, whatever torch has.

    A torch operation between two kernels that wakes torch's workers costs a millisecond to send them away.
    """
    token = _WANTED.set(n)
    try:
        yield
    finally:
        _WANTED.reset(token)


def wanted() -> int:
    """Return how many threads a kernel may use: torch's number unless ``kernel_threads`` says another."""
    told = _WANTED.get()
    return torch.get_num_threads() if told is None else told


@contextlib.contextmanager
def torch_held() -> Iterator[None]:
    """Hold torch to one thread and let its spinning workers go; restore the count afterwards."""
    threads = torch.get_num_threads()
    library = _openmp()
    if library is not None:
        library.omp_pause_resource_all(_PAUSE_SOFT)
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@dataclasses.dataclass(frozen=True)
class Walk:
    """Compiled work over jobs, which a worker that watches its slot begins without Python.

    Args:
        kernel: an ``entry(jobs, first, last)``.
        jobs: one record a unit of work.
    """

    kernel: Any
    jobs: np.ndarray

    def __call__(self, first: int, last: int) -> None:
        """Do the units first … last − 1."""
        self.kernel(self.jobs, first, last)


Work = Callable[[int, int], None]


@functools.cache
def _address(kernel: Any) -> int:
    """Return where the machine code of an entry lies."""
    (made,) = kernel.overloads.values()
    return int(made.library.get_pointer_to_function(made.fndesc.llvm_func_name))


_TEXT = '''"""Slots of tasks, generated; do not edit."""

from memspan.kernels.cpu.team import *
'''


def compiled() -> ModuleType:
    """Return the compiled part of a worker, ``team.py``."""
    from memspan.kernels.cpu import cache
    from memspan.kernels.cpu.generate import template

    return cache.module("memspan_team", lambda: _TEXT + template("team"))


class _Worker:
    """A thread that does one share of work after the other, and its slot."""

    def __init__(self, number: int) -> None:
        self.free, self.team = threading.Lock(), compiled()
        memory = np.zeros(self.team.SLOT_BYTES + LINE, np.uint8)
        self.slot = memory.ctypes.data + -memory.ctypes.data % LINE
        self.task: tuple[Work, tuple[int, int]] | None = None
        self.alarm: SimpleQueue[None] = SimpleQueue()
        self.bell: SimpleQueue[None] = SimpleQueue()
        self.wrong: BaseException | None = None
        threading.Thread(target=self._serve, args=(memory,), name=f"memspan-{number}", daemon=True).start()

    def begin(self, work: Work, part: tuple[int, int]) -> None:
        """Have a share of work done."""
        where = (0, 0, 0, 0)
        if isinstance(work, Walk):
            jobs = work.jobs
            where = (_address(work.kernel), jobs.ctypes.data, len(jobs), jobs.itemsize)
        else:
            self.task = work, part
        if self.team.begin(self.slot, *where, *part):
            self.alarm.put(None)

    def end(self) -> None:
        """Wait until the share is done."""
        while not self.team.finished(self.slot):
            self.alarm.put(None)  # an interrupt may have kept ``begin`` from it; one too many does no harm
            self.bell.get()

    def _serve(self, memory: np.ndarray) -> None:
        """Do shares of work for ever; note what went wrong."""
        while True:
            need = self.team.serve(self.slot)
            if need == self.team.ASLEEP:
                self.alarm.get()
                continue
            if need == self.team.PYTHON:
                self._do()
                if not self.team.conclude(self.slot):
                    continue
            self.bell.put(None)

    def _do(self) -> None:
        """Do the task that is not a walk; its buffers are let go with it."""
        assert self.task is not None
        (work, part), self.task = self.task, None
        try:
            work(*part)
        except BaseException as error:  # the caller raises it
            self.wrong = error


class _Team:
    """The workers of this process; one that forked has its own."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Know of no workers."""
        self.lock, self.workers = threading.Lock(), list[_Worker]()

    def take(self, count: int) -> list[_Worker]:
        """Return up to so many workers that nobody else has; they are the caller's until given back."""
        if len(self.workers) < count:
            with self.lock:
                while len(self.workers) < count:
                    self.workers.append(_Worker(len(self.workers)))
        return [worker for worker in self.workers[:count] if worker.free.acquire(blocking=False)]


_TEAM = _Team()
os.register_at_fork(after_in_child=_TEAM.forget)


def share(count: int, threads: int) -> list[tuple[int, int]]:
    """Return contiguous shares (first, last) of count units, one a thread."""
    threads = max(1, min(threads, count))
    edges = [count * k // threads for k in range(threads + 1)]
    return list(itertools.pairwise(edges))


def run(work: Work, shares: Sequence[tuple[int, int]]) -> None:
    """Do every share of the work: the caller the first, and those for which no worker is free."""
    if len(shares) == 1:
        work(*shares[0])
        return
    workers = _TEAM.take(len(shares) - 1)
    with torch_held():
        try:
            for worker, part in zip(workers, shares[1:], strict=False):
                worker.begin(work, part)
            for part in (shares[0], *shares[1 + len(workers) :]):
                work(*part)
        finally:
            wrong = [_ended(worker) for worker in workers]
    for error in wrong:
        if error is not None:
            raise error


def _ended(worker: _Worker) -> BaseException | None:
    """Wait for a worker, interrupted or not: it writes into the caller's buffers. Return what went wrong."""
    interrupt = None
    while True:
        try:
            worker.end()
            break
        except KeyboardInterrupt as error:
            interrupt = error
    wrong, worker.wrong = worker.wrong, None
    worker.free.release()
    return interrupt or wrong
