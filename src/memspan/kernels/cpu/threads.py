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
_NEEDED = ("GOMP_parallel", "omp_get_thread_num", "omp_get_num_threads", "omp_pause_resource_all")
Work = Callable[[int, int], None]
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


_TEXT = '''"""What a team of threads does, generated; do not edit."""

from memspan.kernels.cpu.team import *
'''


@dataclasses.dataclass(frozen=True)
class _Team:
    """torch's OpenMP threads, and what they do.

    Args:
        parallel: OpenMP's function that has a team of threads do something.
        do_shares: what: see ``team.py``.
        numbers: the addresses of OpenMP's functions that tell a thread its number, and how many there are.
    """

    parallel: Callable[..., None]
    do_shares: ctypes.c_void_p
    numbers: tuple[int, int]

    def do(self, work: Walk, shares: Sequence[tuple[int, int]]) -> None:
        """Do every share of compiled work."""
        jobs = work.jobs
        where = jobs.ctypes.data, len(jobs), jobs.itemsize
        task = np.array([
            *self.numbers, len(shares), _address(work.kernel), *where, *itertools.chain(*shares)
        ])  # fmt: skip
        self.parallel(self.do_shares, ctypes.c_void_p(task.ctypes.data), len(shares), 0)


@functools.cache
def team() -> _Team | None:
    """Return torch's OpenMP threads as ours, or None where they cannot be had."""
    library = _openmp()
    if library is None:
        return None
    from memspan.kernels.cpu import cache
    from memspan.kernels.cpu.generate import template

    module = cache.module("memspan_team", lambda: _TEXT + template("team"))
    asked = library.omp_get_thread_num, library.omp_get_num_threads
    first, second = (ctypes.cast(function, ctypes.c_void_p).value or 0 for function in asked)
    return _Team(library.GOMP_parallel, ctypes.c_void_p(module.do_shares.address), (first, second))


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


os.register_at_fork(after_in_child=_after_fork)


def share(count: int, threads: int) -> list[tuple[int, int]]:
    """Return contiguous shares (first, last) of count units, one a thread."""
    threads = max(1, min(threads, count))
    edges = [count * k // threads for k in range(threads + 1)]
    return list(itertools.pairwise(edges))


def run(work: Work, shares: Sequence[tuple[int, int]]) -> None:
    """Do every share of the work: the caller the first, other threads the others."""
    if len(shares) == 1:
        work(*shares[0])
        return
    if isinstance(work, Walk) and (torchs := team()) is not None:
        torchs.do(work, shares)
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
