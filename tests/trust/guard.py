"""Buffers of the kernels between guard pages or canaries, while tests run.

Every tensor that a kernel gets an address of is copied between two pages that nobody may touch, at their very
edge; what a kernel only reads is read-only there. A kernel that leaves a buffer, or writes to what it may
only read, ends the process, and ``faulthandler`` says where. Canaries do the same where there are no such
pages, and say it after the pass. Gaps between the parts of a pass's scratch must keep what was in them.
"""

from __future__ import annotations

import contextlib
import ctypes
import math
import mmap
import sys
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from memspan.kernels.cpu import engine, memory, threads
from memspan.kernels.cpu.sparse import engine as sparse_engine

PAGE = mmap.PAGESIZE
CANARY = 0xA5
POISON = 0x7FC00000  # a quiet NaN
GAP = 64  # bytes before every part of the scratch but the first
EDGE = 256  # bytes of canaries where there are no guard pages
NOBODY, READ, WRITE = 0, 1, 2
ABOVE = ("d_outputs", "d_last", "d_carried", "d_states")
WRITTEN = ("outputs", "last", "states", "dx")


class BrokenBufferError(AssertionError):
    """A kernel wrote where nobody may."""


def _libc() -> Any:
    """Return the C library where pages can be protected, else None."""
    return ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


LIBC = _libc()


class Region:
    """Bytes at the edge of a guard page; ``before``: at the page's end, with the guard in front."""

    def __init__(self, size: int, kind: str, align: int) -> None:
        self.size, self.kind, self.name = size, kind, ""
        self.paged = LIBC is not None and kind != "canary"
        if self.paged:
            inner = -(-max(size, 1) // PAGE) * PAGE
            self.map = mmap.mmap(-1, inner + 2 * PAGE)
            start = ctypes.addressof(ctypes.c_char.from_buffer(self.map))
            self.first, self.inner = start + PAGE, inner
            self.offset = PAGE + (0 if kind == "before" else (inner - size) // align * align)
            self.whole = np.frombuffer(self.map, np.uint8)[PAGE : PAGE + inner]
            for page in (start, self.first + inner):
                _protect(page, PAGE, NOBODY)
            place = self.offset - PAGE
        else:
            self.whole = np.empty(size + 2 * EDGE + align, np.uint8)
            place = EDGE + -(self.whole.ctypes.data + EDGE) % align
        self.whole[:] = CANARY
        self.place = place
        self.bytes = self.whole[place : place + size]
        self.address = self.bytes.ctypes.data if size else self.whole.ctypes.data + place

    def check(self) -> None:
        """Raise if a canary beside the bytes is gone."""
        before, after = self.whole[: self.place], self.whole[self.place + self.size :]
        for where, part in (("before", before), ("after", after)):
            if (part != CANARY).any():
                raise BrokenBufferError(f"guard: {self.name} was written {where} its {self.size} bytes")

    def read_only(self) -> None:
        """Let nobody write, where there are pages."""
        if self.paged:
            _protect(self.first, self.inner, READ)

    def release(self) -> None:
        """Make the pages ordinary again, so that they can be freed."""
        if self.paged:
            _protect(self.first - PAGE, self.inner + 2 * PAGE, READ | WRITE)


def _protect(address: int, size: int, rights: int) -> None:
    if LIBC.mprotect(ctypes.c_void_p(address), ctypes.c_size_t(size), rights):
        raise OSError(ctypes.get_errno(), "mprotect")


class Guard:
    """The buffers of the passes that run now; each thread has its own."""

    def __init__(self, kind: str) -> None:
        self.kind, self.mine = kind, threading.local()
        self.passes = 0  # how many it watched, so that a test sees that it did

    @property
    def lent(self) -> list[tuple[Region, np.ndarray | None, np.ndarray | None]]:
        """Regions of this thread: each with what is written back to, or what must not change."""
        if not hasattr(self.mine, "lent"):
            self.mine.lent = []
        return self.mine.lent

    def lend(self, name: str, array: np.ndarray, written: bool) -> int:
        """Return the address of a guarded copy."""
        region = Region(array.nbytes, self.kind, array.itemsize)
        region.name = name
        region.bytes[:] = np.ascontiguousarray(array).view(np.uint8).reshape(-1)
        if not written:
            region.read_only()
        self.lent.append((region, array if written else None, None if written else array))
        return region.address

    def after_phase(self) -> None:
        """Write results back and look at every canary."""
        self.passes += 1
        for region, written, read in self.lent:
            region.check()
            if written is not None:
                written[...] = region.bytes.view(written.dtype).reshape(written.shape)
            elif read is not None and read.size:
                same = np.ascontiguousarray(read).view(np.uint8).reshape(-1) == region.bytes
                if not same.all():
                    raise BrokenBufferError(f"guard: {region.name} is read only, and was written to")

    def end(self) -> None:
        """Let the regions of this thread go."""
        for region, _, _ in self.lent:
            region.release()
        self.lent.clear()


class Scratch:
    """What ``memory.Borrowed`` is, between guards; parts are watched through the jobs that point at them."""

    def __init__(self, guard: Guard, size: int) -> None:
        self.guard = guard
        self.region = Region(-(-size // 64) * 64, guard.kind, 64)
        self.region.name = "scratch"
        self.region.bytes.view(np.uint32)[:] = POISON

    def __enter__(self) -> int:
        self.guard.mine.scratch = self.region
        return self.region.address

    def __exit__(self, *error: object) -> None:
        self.guard.mine.scratch = None
        self.region.release()
        self.guard.end()

    @staticmethod
    def check(region: Region, jobs: np.ndarray) -> None:
        """Raise if a gap between the parts that jobs point at was written to."""
        region.check()
        table = jobs.view(np.int64).reshape(len(jobs), -1)
        inside = np.unique(table[(table > region.address) & (table < region.address + region.size)])
        words = region.bytes.view(np.uint32)
        for start in inside - region.address:
            gap = words[(start - GAP) // 4 : start // 4]
            if (gap != POISON).any():
                field = sorted({jobs.dtype.names[k] for k in np.nonzero(table == start + region.address)[1]})
                raise BrokenBufferError(
                    f"guard: the gap before {', '.join(field)} in the scratch was written to"
                )


@contextlib.contextmanager
def guarded(kind: str) -> Iterator[Guard]:
    """Guard every buffer that kernels get, by ``"after"``, ``"before"`` or ``"canary"``."""
    guard = Guard(kind)
    checked, run, put = engine.pointer, threads.run, sparse_engine._put_kept

    def pointer(name: str, tensor: Tensor | None, expected: Any) -> int:
        address = checked(name, tensor, expected)
        if tensor is None or not tensor.numel():
            return address
        written = name in WRITTEN or (name.startswith("d_") and name not in ABOVE)
        written = written or (name == "saved" and not guard.mine.__dict__.get("backward", False))
        return guard.lend(name, tensor.detach().numpy(), written)

    def watched_run(work: Any, shares: Any) -> None:
        run(work, shares)
        guard.after_phase()
        region = guard.mine.__dict__.get("scratch")
        if region is not None:
            Scratch.check(region, work.jobs if isinstance(work, threads.Walk) else work.args[0])

    def watched_place(array: np.ndarray) -> tuple[int, int]:
        inner = math.prod(array.shape[1:]) * array.itemsize
        return guard.lend("schedule", array, array.flags.writeable), inner

    def put_kept(table: Any, plan: Any, saved: Tensor | None, count: int) -> int:
        if saved is None or not saved.numel():
            return put(table, plan, saved, count)
        backward = guard.mine.__dict__.get("backward", False)
        address = guard.lend("saved", saved.numpy(), not backward)
        floats = (ctypes.c_float * saved.numel()).from_address(address)
        moved = torch.frombuffer(floats, dtype=torch.float32).view(saved.shape)
        return put(table, plan, moved, count)

    def marked(function: Any) -> Any:
        def backward(*args: Any) -> Any:
            guard.mine.backward = True
            try:
                return function(*args)
            finally:
                guard.mine.backward = False
                guard.end()

        return backward

    patches = [
        (engine, "pointer", pointer), (sparse_engine, "pointer", pointer), (threads, "run", watched_run),
        (sparse_engine, "_place", watched_place), (sparse_engine, "_put_kept", put_kept),
        (memory, "Borrowed", lambda size, poisoned=False: Scratch(guard, size)),
        (engine, "run_backward", marked(engine.run_backward)),
        (sparse_engine, "run_backward", marked(sparse_engine.run_backward)),
    ]  # fmt: skip
    before = [(module, name, getattr(module, name)) for module, name, _ in patches]
    for module, name, value in patches:
        setattr(module, name, value)
    try:
        yield guard
    finally:
        for module, name, value in before:
            setattr(module, name, value)
