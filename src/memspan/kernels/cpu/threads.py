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
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

_PAUSE_SOFT = 1
_POOL: tuple[int, int, ThreadPoolExecutor] | None = None
_LOCK = threading.Lock()


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


def _pool(workers: int) -> ThreadPoolExecutor:
    """Return this process' pool, made again after a fork or for more workers."""
    global _POOL
    with _LOCK:
        if _POOL is None or _POOL[0] != os.getpid() or _POOL[1] < workers:
            _POOL = (os.getpid(), workers, ThreadPoolExecutor(workers, "memspan"))
        return _POOL[2]


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
    with torch_held():
        others = [_pool(len(shares) - 1).submit(work, *part) for part in shares[1:]]
        try:
            work(*shares[0])
        finally:
            for other in others:
                other.result()
