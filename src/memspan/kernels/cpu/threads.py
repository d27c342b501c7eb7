"""Worker threads of the CPU kernel, and peace with torch's own.

torch's OpenMP workers spin for milliseconds after every operation and hold the cores our threads need. So
around a call with several threads torch is held to one, and the OpenMP pool it spun up is let go.
"""

from __future__ import annotations

import contextlib
import contextvars
import ctypes
import functools
import itertools
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from queue import SimpleQueue

import torch

_PAUSE_SOFT = 1
_Ended = list[BaseException | None]
_Task = tuple[Callable[[int, int], None], tuple[int, int], _Ended, "SimpleQueue[None]"]


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
os.register_at_fork(after_in_child=_WORKERS.forget)


def share(count: int, threads: int) -> list[tuple[int, int]]:
    """Return contiguous shares (first, last) of count units, one a thread."""
    threads = max(1, min(threads, count))
    edges = [count * k // threads for k in range(threads + 1)]
    return list(itertools.pairwise(edges))


def run(work: Callable[[int, int], None], shares: Sequence[tuple[int, int]]) -> None:
    """Do every share of the work: the caller the first, pool threads the others."""
    if len(shares) == 1:
        work(*shares[0])
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
