"""How a thread is told to walk, without Python: a slot of memory that caller and worker watch.

Waking a sleeping thread takes some ten microseconds, and Python's lock as much again. So a worker that has
done a share watches its slot for a while, and begins the next share by itself the moment it is written there.

The functions below the mark are compiled as a generated module, which keeps them in the kernels' cache.
A slot's fields lie on lines of their own, so that watching one does not take the others from who writes them.
"""

# mypy: ignore-errors

from __future__ import annotations

import os
import platform
from typing import Any

import numba as nb
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from memspan.linked import entry

ASLEEP, PYTHON, RING = 0, 1, 2  # why ``serve`` returns
TICKET, TASK, DONE, RESTS, WAITS = 0, 64, 128, 192, 256  # a slot's fields, in bytes
SLOT_BYTES = 320
PAUSES = 64  # between two yields of the core to a thread that could use it
TURNS = 400  # of so many pauses, some 0.8 ms, before who watches goes to sleep
_I64 = ir.IntType(64)
_JOBS = types.Array(types.int64, 1, "C")
_PAUSES = {
    "x86_64": ("llvm.x86.sse2.pause", ()), "amd64": ("llvm.x86.sse2.pause", ()),
    "aarch64": ("llvm.aarch64.hint", (1,)), "arm64": ("llvm.aarch64.hint", (1,)),
}  # fmt: skip


def _place(builder: Any, address: Any) -> Any:
    return builder.inttoptr(address, _I64.as_pointer())


@intrinsic
def read(typing: Any, address: Any) -> Any:
    """Read a whole number that another thread may write; everything stands in one order for all."""
    return types.int64(types.intp), lambda c, b, s, a: b.load_atomic(_place(b, a[0]), "seq_cst", 8)


@intrinsic
def write(typing: Any, address: Any, value: Any) -> Any:
    """Write a whole number that another thread may read; everything stands in one order for all."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.store_atomic(args[1], _place(builder, args[0]), "seq_cst", 8)
        return context.get_dummy_value()

    return types.void(types.intp, types.int64), generate


@intrinsic
def pause(typing: Any) -> Any:
    """Let the core rest for a moment, where it knows how to."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        name, numbers = _PAUSES.get(platform.machine().lower(), ("", ()))
        if name:
            kind = ir.FunctionType(ir.VoidType(), [ir.IntType(32)] * len(numbers))
            function = cgutils.get_or_insert_function(builder.module, kind, name)
            builder.call(function, [ir.Constant(ir.IntType(32), number) for number in numbers])
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def give_way(typing: Any) -> Any:
    """Give the core to a thread that waits for it, where the system lets a thread say so."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if os.name == "posix":
            kind = ir.FunctionType(ir.IntType(32), [])
            builder.call(cgutils.get_or_insert_function(builder.module, kind, "sched_yield"), [])
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def walk(typing: Any, task: Any) -> Any:
    """Call a compiled ``entry(jobs, first, last)`` with what a task holds: see ``begin``."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        def field(k: int) -> Any:
            return builder.load(_place(builder, builder.add(args[0], ir.Constant(_I64, 8 * k))))

        address, data, count, size, first, last = (field(k) for k in range(6))
        jobs = context.make_array(_JOBS)(context, builder)
        jobs.data, jobs.nitems, jobs.itemsize = _place(builder, data), count, size
        jobs.shape, jobs.strides = (cgutils.pack_array(builder, [one]) for one in (count, size))
        jobs.meminfo, jobs.parent = (cgutils.get_null_value(o.type) for o in (jobs.meminfo, jobs.parent))
        kinds = (_JOBS, types.intp, types.intp)
        kind = context.call_conv.get_function_type(types.void, kinds)
        function = builder.inttoptr(address, kind.as_pointer())
        given = [jobs._getvalue(), first, last]
        context.call_conv.call_function(builder, function, types.void, kinds, given)
        return context.get_dummy_value()

    return types.void(types.intp), generate


# ---- the generated module continues from here ----


@entry(nb.int64(nb.intp))
def serve(slot):
    """Walk whatever is written into a slot until Python is needed; return what for.

    ASLEEP: nothing came for a while, and who writes the next task wakes this thread. PYTHON: the task is not
    a walk. RING: the walk is done, and its caller sleeps.
    """
    seen = read(slot + DONE)
    write(slot + RESTS, 0)
    while True:
        turns = 0
        while turns < TURNS:
            for _ in range(PAUSES):
                ticket = read(slot + TICKET)
                if ticket != seen:
                    if read(slot + TASK) == 0:
                        return PYTHON
                    walk(slot + TASK)
                    seen, turns = ticket, 0
                    write(slot + DONE, ticket)
                    if read(slot + WAITS):
                        return RING
                pause()
            give_way()
            turns += 1
        write(slot + RESTS, 1)
        if read(slot + TICKET) == seen:
            return ASLEEP
        write(slot + RESTS, 0)


@entry(nb.boolean(nb.intp, nb.intp, nb.intp, nb.int64, nb.int64, nb.int64, nb.int64), nogil=False)
def begin(slot, address, jobs, count, size, first, last):
    """Write a task, an address of 0 for one of Python's, and the next ticket. Return whether to wake."""
    write(slot + TASK, address)
    write(slot + TASK + 8, jobs)
    write(slot + TASK + 16, count)
    write(slot + TASK + 24, size)
    write(slot + TASK + 32, first)
    write(slot + TASK + 40, last)
    write(slot + WAITS, 0)
    write(slot + TICKET, read(slot + TICKET) + 1)
    return read(slot + RESTS) != 0


@entry(nb.boolean(nb.intp), nogil=False)
def conclude(slot):
    """Write that a task of Python's is done. Return whether its caller sleeps."""
    write(slot + DONE, read(slot + TICKET))
    return read(slot + WAITS) != 0


@entry(nb.boolean(nb.intp))
def finished(slot):
    """Watch for a while whether the task is done; where it is not in the end, its worker will ring."""
    ticket = read(slot + TICKET)
    for _ in range(TURNS):
        for _ in range(PAUSES):
            if read(slot + DONE) == ticket:
                return True
            pause()
        give_way()
    write(slot + WAITS, 1)
    return read(slot + DONE) == ticket
