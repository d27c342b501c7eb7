"""Large buffers, lent and taken back.

Fresh memory costs a page fault every few kilobytes, more than the kernel's arithmetic. So a large buffer goes
back to a shelf when the last tensor on it is gone, and the next call of a similar size finds it warm.
"""

from __future__ import annotations

import collections
import contextlib
import math
import os
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

LINE = 64  # bytes of a cache line; a vector that straddles two costs twice
SMALL = 2**16  # bytes below which torch's own allocator is as good
STEP = 2**18  # buffers are made in multiples of so many bytes, so that similar sizes share them
SHELF = 2**30  # bytes kept for later at most
_shelf: collections.deque[np.ndarray] = collections.deque()


class _Lease(np.ndarray):
    """An array whose memory goes back to the shelf when the last tensor on it is gone."""

    def __del__(self) -> None:
        if isinstance(self.base, np.ndarray):
            _shelf.append(self.base)


def lease(shape: tuple[int, ...]) -> Tensor:
    """Return an uninitialised float32 tensor."""
    size = 4 * math.prod(shape)
    if size < SMALL:
        return torch.empty(shape, dtype=torch.float32, device="cpu")
    whole = _from_shelf(size + LINE)
    skip = -whole.ctypes.data % LINE // 4
    return torch.from_numpy(whole.view(_Lease))[skip : skip + size // 4].view(shape)


@contextlib.contextmanager
def borrowed(size: int, poisoned: bool = False) -> Iterator[int]:
    """Lend so many bytes on cache lines for a while, as an address; ``poisoned``: filled with NaN."""
    whole = _from_shelf(size + LINE)
    if poisoned:
        whole.fill(math.nan)
    try:
        address = whole.ctypes.data
        yield address + -address % LINE
    finally:
        _shelf.append(whole)


def _from_shelf(size: int) -> np.ndarray:
    """Return a free buffer of at least size bytes and at most twice that, or a new one."""
    fitting = None
    waiting = []
    while True:
        try:
            one = _shelf.popleft()
        except IndexError:
            break
        if fitting is None and size <= one.nbytes <= 2 * size:
            fitting = one
        else:
            waiting.append(one)
    kept = 0
    for one in reversed(waiting):  # the most recent first; what does not fit on the shelf is let go
        kept += one.nbytes
        if kept <= SHELF:
            _shelf.appendleft(one)
    if fitting is None:
        fitting = np.empty(
            2 ** math.ceil(math.log2(size)) // 4 if size < 2**20 else -(-size // 2**20) * 2**18, np.float32
        )
    return fitting


def clear() -> None:
    """Let every free buffer go."""
    _shelf.clear()


os.register_at_fork(after_in_child=clear)
