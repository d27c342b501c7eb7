"""Who does the CPU kernel's shares of work: torch's own OpenMP threads, or worker threads of ours.

torch's OpenMP threads spin for milliseconds after every operation and hold the cores that threads of ours
would need. So compiled work is done by them (``team.py``): they begin at once, without Python, and are there
for torch again afterwards. Work in Python, and compiled work where torch has another OpenMP than GNU's, is
for threads of ours; torch is held to one thread meanwhile, and the OpenMP threads it spun up are let go.
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
from typing import Any

import numpy as np
import torch

_PAUSE_SOFT = 1
_FORKED: list[bool] = []
_ASKED = ("omp_get_thread_num", "omp_get_num_threads", "GOMP_barrier")  # by compiled code; see ``team.py``
_TURNS = 3  # a word of a task; see ``team.py``
_NEEDED = (*_ASKED, "GOMP_parallel", "omp_pause_resource_all")
Work = Callable[[int, int], None]
Shares = Sequence[tuple[int, int]]
_Ended = list[BaseException | None]
_Task = tuple[Work, tuple[int, int], _Ended, "SimpleQueue[None]"]


@functools.cache
def _openmp() -> ctypes.CDLL | None:
    """Return the GNU OpenMP library torch loaded, or None where it uses another.

    None too in a process that forked: the threads of its parent's pool are not there, and it would wait for
    them for ever.
    """
    if _FORKED or not sys.platform.startswith("linux"):
        return None
    try:
        maps = Path("/proc/self/maps").read_text(encoding="utf-8")
        found = [line.split()[-1] for line in maps.splitlines() if "libgomp" in line]
        library = next((path for path in found if "torch" in path), found[0] if found else None)
        loaded = ctypes.CDLL(library) if library else None
        return loaded if loaded is not None and all(hasattr(loaded, name) for name in _NEEDED) else None
    except OSError:
        return None


_WANTED: contextvars.ContextVar[int | None] = contextvars.ContextVar("kernel threads", default=None)


@contextlib.contextmanager
def kernel_threads(n: int) -> Iterator[None]:
    """Give the kernels n threads inside the block, whatever torch has.

    So torch itself can be held to one, whose products have the same bits whatever the kernels' threads.
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


@dataclasses.dataclass(frozen=True)
class Walk:
    """Compiled work over jobs, which torch's OpenMP threads can do.

    Args:
        kernel: an ``entry(jobs, first, last)``.
        jobs: one record a unit of work.
    """

    kernel: Any
    jobs: np.ndarray

    def __call__(self, first: int, last: int) -> None:
        """Do the units first … last − 1."""
        self.kernel(self.jobs, first, last)


@dataclasses.dataclass(frozen=True)
class Relay:
    """Compiled works over as many jobs each, every unit through all of them before the next."""

    walks: tuple[Walk, ...]

    def __call__(self, first: int, last: int) -> None:
        """Do the units first … last − 1."""
        for unit in range(first, last):
            for walk in self.walks:
                walk(unit, unit + 1)


_TEXT = '''"""What threads do, generated; do not edit."""

from memspan.kernels.cpu.team import *
'''


@functools.cache
def _do_phases() -> tuple[Callable[[int], None], ctypes.c_void_p]:
    """Return what does a task's phases, as a function and as its address."""
    from memspan.kernels.cpu import cache
    from memspan.kernels.cpu.generate import template

    made = cache.module("memspan_team", lambda: _TEXT + template("team")).do_phases
    return made.ctypes, ctypes.c_void_p(made.address)


@functools.cache
def team() -> ctypes.CDLL | None:
    """Return the library whose threads do compiled work, or None where they cannot be had."""
    library = _openmp()
    if library is not None:
        _do_phases()
    return library


class Program:
    """Compiled works one after the other, each shared by threads, in one call and as often as wanted.

    Args:
        phases: works with their shares; none begins before the one before it ended.
        changes: where a 64-bit number lies and what is added to it after every turn but the last; at the end
            it is as it was.
    """

    def __init__(
        self, phases: Sequence[tuple[Walk | Relay, Shares]], changes: Sequence[tuple[int, int]] = ()
    ) -> None:
        self.phases, self.changes = phases, changes
        self.threads = max(len(shares) for _, shares in phases)
        library = team() if self.threads > 1 else None
        asked = [_address_in(library, name) for name in _ASKED] if library else [0, 0, 0]
        words = [*asked, 1, len(changes), *itertools.chain(*changes), len(phases)]
        for work, shares in phases:
            walks = work.walks if isinstance(work, Relay) else (work,)
            words += [len(shares), len(walks)]
            for walk in walks:
                jobs = walk.jobs
                words += [_address(walk.kernel), jobs.ctypes.data, len(jobs), jobs.itemsize]
            words += itertools.chain(*shares)
        self.task = np.array(words)
        self.at = self.task.ctypes.data
        self.function, self.address = _do_phases()

    def __call__(self, turns: int = 1) -> None:
        """Do every phase, several times over."""
        self.task[_TURNS] = turns
        if self.threads == 1:
            self.function(self.at)
        elif (library := team()) is not None:
            library.GOMP_parallel(self.address, ctypes.c_void_p(self.at), self.threads, 0)
        else:
            for turn in range(turns):
                for work, shares in self.phases:
                    run(work, shares)
                self._change(1 if turn + 1 < turns else 1 - turns)

    def _change(self, times: int) -> None:
        for address, by in self.changes:
            ctypes.c_int64.from_address(address).value += times * by


@functools.cache
def _address_in(library: ctypes.CDLL, name: str) -> int:
    """Return where a function of a library lies."""
    return ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0


@functools.cache
def _address(kernel: Any) -> int:
    """Return where the machine code of an entry lies."""
    (made,) = kernel.overloads.values()
    return int(made.library.get_pointer_to_function(made.fndesc.llvm_func_name))


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


class _Workers:
    """Threads that wait for shares of work; a process that forked starts its own.

    A share costs a few microseconds, a fraction of what it costs through ``concurrent.futures``: that matters
    beside kernels of a millisecond.
    """

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Know of no threads."""
        self.lock, self.count, self.waiting = threading.Lock(), 0, SimpleQueue[_Task]()

    def need(self, count: int) -> None:
        """Have at least so many threads."""
        if self.count >= count:
            return
        with self.lock:
            for k in range(self.count, count):
                threading.Thread(
                    target=_serve, args=(self.waiting,), name=f"memspan-{k}", daemon=True
                ).start()
            self.count = max(self.count, count)


def _serve(waiting: SimpleQueue[_Task]) -> None:
    """Do shares of work for ever; note what went wrong, or None, and ring."""
    while True:
        work, share, ended, bell = waiting.get()
        wrong = None
        try:
            work(*share)
        except BaseException as error:  # the caller raises it
            wrong = error
        ended.append(wrong)
        bell.put(None)
        del work, share, ended, bell, wrong  # or the buffers of this call stay until the next


_WORKERS = _Workers()


def _after_fork() -> None:
    """Know of no threads in a process that forked."""
    _FORKED.append(True)
    _openmp.cache_clear()
    team.cache_clear()
    _WORKERS.forget()


def _before_fork() -> None:
    """End torch's OpenMP threads, which come again when they are needed.

    A child has none of its parent's threads, but would wait for them for ever at torch's next parallel
    operation.
    """
    library = _openmp()
    if library is not None:
        library.omp_pause_resource_all(_PAUSE_SOFT)


os.register_at_fork(before=_before_fork, after_in_child=_after_fork)


def share(count: int, threads: int) -> list[tuple[int, int]]:
    """Return contiguous shares (first, last) of count units, one a thread."""
    threads = max(1, min(threads, count))
    edges = [count * k // threads for k in range(threads + 1)]
    return list(itertools.pairwise(edges))


def share_whole(replicas: int, tiles: int, threads: int) -> list[tuple[int, int]]:
    """Return shares of replicas · tiles units in which no replica is split."""
    return [(first * tiles, last * tiles) for first, last in share(replicas, threads)]


def share_of_units(shares: Shares) -> np.ndarray:
    """Return the number of the share that every unit is in."""
    return np.repeat(np.arange(len(shares)), [last - first for first, last in shares])


def first_of_replica(tiles: int, shares: Shares) -> np.ndarray:
    """Return for every unit whether its share has none of the same replica, of so many tiles, before it."""
    unit = np.arange(shares[-1][1])
    return (unit % tiles == 0) | np.isin(unit, [first for first, _ in shares])


def run(work: Work, shares: Shares) -> None:
    """Do every share of the work: the caller the first, other threads the others."""
    if len(shares) == 1:
        work(*shares[0])
        return
    if isinstance(work, Walk) and team() is not None:
        Program([(work, shares)])()
        return
    ended: _Ended = []
    bell: SimpleQueue[None] = SimpleQueue()
    _WORKERS.need(len(shares) - 1)
    with torch_held():
        for part in shares[1:]:
            _WORKERS.waiting.put((work, part, ended, bell))
        try:
            work(*shares[0])
        finally:
            _wait(ended, bell, len(shares) - 1)
    for wrong in ended:
        if wrong is not None:
            raise wrong


def _wait(ended: _Ended, bell: SimpleQueue[None], count: int) -> None:
    """Wait until so many shares ended, interrupted or not: their threads write into the caller's buffers."""
    while len(ended) < count:
        try:
            bell.get()
        except KeyboardInterrupt as interrupt:
            ended.append(interrupt)
            count += 1
