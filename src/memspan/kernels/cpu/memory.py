"""Large buffers, lent and taken back.

Fresh memory costs a page fault every few kilobytes, more than the kernel's arithmetic. So a large buffer goes
back to a shelf when the last tensor on it is gone, and the next call of a similar size finds it warm.
"""

from __future__ import annotations

import collections
import math
import os

import numpy as np
import torch
from torch import Tensor

from memspan.kernels.cpu.spec import round_up

LINE = 64  # bytes of a cache line; a vector that straddles two costs twice
SMALL = 2**16  # bytes below which torch's own allocator is as good
SHELF = 2**30  # bytes kept for later at most


_EMPTY = torch.empty(0, dtype=torch.float32, device="cpu")


class Block:
    """Memory that begins on a cache line.

    Args:
        size: bytes wanted; more are made, so that similar sizes share a block.
    """

    __slots__ = ("address", "floats", "nbytes")

    def __init__(self, size: int) -> None:
        size += LINE
        rounded = 2 ** math.ceil(math.log2(size)) if size < 2**20 else -(-size // 2**20) * 2**20
        whole = np.empty(rounded // 4, np.float32)
        skip = -whole.ctypes.data % LINE // 4
        self.floats = whole[skip : skip + (rounded - LINE) // 4]
        self.address, self.nbytes = self.floats.ctypes.data, self.floats.nbytes


def offsets(sizes: dict[str, int]) -> tuple[dict[str, int], int]:
    """Return where every part lies, one after the other on cache lines, and the bytes in all."""
    places, offset = {}, 0
    for name, size in sizes.items():
        places[name] = 4 * offset
        offset += round_up(size, 16) + 16
    return places, 4 * offset


_shelf: collections.deque[Block] = collections.deque()


class _Lease(np.ndarray):
    """An array whose block goes back to the shelf when the last tensor on it is gone."""

    block: Block | None = None

    def __del__(self) -> None:
        if self.block is not None:
            _shelf.append(self.block)


def lease(shape: tuple[int, ...]) -> Tensor:
    """Return an uninitialised float32 tensor."""
    size = 4 * math.prod(shape)
    if size < SMALL:
        return _EMPTY.new_empty(shape)  # its dtype and device need no look-up
    block = _from_shelf(size)
    array = _Lease(shape, np.float32, block.floats)
    array.block = block
    return torch.from_numpy(array)


def lease_like(tensor: Tensor) -> Tensor:
    """Return an uninitialised float32 tensor of the shape of a contiguous one."""
    return torch.empty_like(tensor) if 4 * tensor.numel() < SMALL else lease(tuple(tensor.shape))


class Borrowed:
    """So many bytes on cache lines for a while, as an address; ``poisoned``: filled with NaN."""

    def __init__(self, size: int, poisoned: bool = False) -> None:
        self.block = _from_shelf(size)
        if poisoned:
            self.block.floats.fill(math.nan)

    def __enter__(self) -> int:
        return self.block.address

    def __exit__(self, *error: object) -> None:
        _shelf.append(self.block)


def _from_shelf(size: int) -> Block:
    """Return the block last used that holds size bytes and at most twice that, or a new one."""
    passed: list[Block] = []
    fitting = None
    while fitting is None:
        try:
            one = _shelf.pop()
        except IndexError:
            break
        if size <= one.nbytes <= 2 * size + LINE:
            fitting = one
        else:
            passed.append(one)
    if fitting is None:  # what no longer has room on the shelf is let go, the longest unused first
        fitting, kept = Block(size), 0
        for count, one in enumerate(passed):
            kept += one.nbytes
            if kept > SHELF:
                del passed[count:]
                break
    _shelf.extend(reversed(passed))
    return fitting


def clear() -> None:
    """Let every free buffer go."""
    _shelf.clear()


os.register_at_fork(after_in_child=clear)
