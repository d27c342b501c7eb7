"""The arithmetic a training runs under: one torch thread, denormals flushed, both restored afterwards."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch


def _flushes_denormals() -> bool:
    return float(torch.tensor([1e-39]) * 1) == 0.0


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
def reproducible() -> Iterator[None]:
    """One torch thread and flushed denormals inside the block.

    Vanishing gradients squared by RMSProp are denormal by the thousand, and a denormal costs a
    hundred ordinary operations.
    """
    flushed = _flushes_denormals()
    torch.set_flush_denormal(True)
    try:
        with torch_threads(1):
            yield
    finally:
        torch.set_flush_denormal(flushed)
