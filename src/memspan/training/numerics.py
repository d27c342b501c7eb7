"""The arithmetic a training runs under: one torch thread, denormals flushed, both restored afterwards."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np
import torch

from memspan.kernels.cpu import threads

Result = TypeVar("Result")


_DENORMAL = np.float32(1e-39)


def _flushes_denormals() -> bool:
    return bool(_DENORMAL * np.float32(1) == 0)


@contextlib.contextmanager
def torch_threads(n: int) -> Iterator[None]:
    """Give torch n threads inside the block.

    A reduction's order, and so its last bit, may depend on this number: everything but the kernel,
    which fixes its own order, runs on one thread.
    """
    before = torch.get_num_threads()
    if before == n:
        yield
        return
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def flushed_denormals() -> Iterator[None]:
    """Count denormals as zero in this thread inside the block.

    Vanishing gradients squared by RMSProp are denormal by the thousand, and a denormal costs a
    hundred ordinary operations.
    """
    flushed = _flushes_denormals()
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(flushed)


@contextlib.contextmanager
def reproducible() -> Iterator[None]:
    """One torch thread and flushed denormals inside the block."""
    with flushed_denormals(), torch_threads(1):
        yield


def each(work: Callable[[int], Result], count: int, n: int) -> list[Result]:
    """Return what work makes of 0 … count − 1, shared by n threads, inside ``reproducible``.

    Every piece is computed on one thread alone, so no bit depends on n.
    """
    made: dict[int, Result] = {}

    def some(first: int, last: int) -> None:
        torch.set_num_threads(1)  # a thread of the pool may have begun when torch had more
        with flushed_denormals():
            made.update((k, work(k)) for k in range(first, last))

    threads.run(some, threads.share(count, n))
    return [made[k] for k in range(count)]
