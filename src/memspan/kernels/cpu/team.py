"""How threads walk: a C function that does the shares of whichever thread calls it, phase after phase.

It is called by every thread of torch's OpenMP team, or by a single thread for itself. The function below the
mark is compiled as a generated module, which keeps it in the kernels' cache.
"""

# mypy: ignore-errors

from __future__ import annotations

from typing import Any

import numba as nb
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from memspan.linked import c_entry, linked
from memspan.simd import iload, istore

THREAD, THREADS, BARRIER, TURNS, CHANGES, CHANGE = 0, 8, 16, 24, 32, 40
"""A task's fields, in bytes: the addresses of OpenMP's three functions, 0 for a single thread; how often all
phases are done; how many numbers change from turn to turn, and where each lies and by how much it does. How
many phases there are and the phases follow."""
SHARES, KERNELS, FIRST, KERNEL = 0, 8, 16, 32
"""A phase's fields: how many shares there are and how many kernels, where the first kernel lies and how many
bytes each has (see ``walk``); first and last of every share follow."""
_I64 = ir.IntType(64)
_JOBS = types.Array(types.int64, 1, "C")


def _place(builder: Any, address: Any) -> Any:
    return builder.inttoptr(address, _I64.as_pointer())


@intrinsic
def ask(typing: Any, address: Any) -> Any:
    """Call a C function without arguments that returns an int."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.FunctionType(ir.IntType(32), [])
        return builder.sext(builder.call(builder.inttoptr(args[0], kind.as_pointer()), []), _I64)

    return types.int64(types.intp), generate


@intrinsic
def wait(typing: Any, address: Any) -> Any:
    """Call a C function without arguments that returns nothing."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.FunctionType(ir.VoidType(), [])
        builder.call(builder.inttoptr(args[0], kind.as_pointer()), [])
        return context.get_dummy_value()

    return types.void(types.intp), generate


@intrinsic
def walk(typing: Any, kernel: Any, first: Any, last: Any) -> Any:
    """Call a compiled ``entry(jobs, first, last)``; kernel: where its address, the jobs', their number and
    size lie.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        def field(k: int) -> Any:
            return builder.load(_place(builder, builder.add(args[0], ir.Constant(_I64, 8 * k))))

        address, data, count, size = (field(k) for k in range(4))
        jobs = context.make_array(_JOBS)(context, builder)
        jobs.data, jobs.nitems, jobs.itemsize = _place(builder, data), count, size
        jobs.shape, jobs.strides = (cgutils.pack_array(builder, [one]) for one in (count, size))
        jobs.meminfo, jobs.parent = (cgutils.get_null_value(o.type) for o in (jobs.meminfo, jobs.parent))
        kinds = (_JOBS, types.intp, types.intp)
        kind = context.call_conv.get_function_type(types.void, kinds)
        function = builder.inttoptr(address, kind.as_pointer())
        given = [jobs._getvalue(), *args[1:]]
        context.call_conv.call_function(builder, function, types.void, kinds, given)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, types.intp), generate


# ---- the generated module continues from here ----


@linked
def do_share(phase, share):
    """Do one share of a phase: with several kernels every unit goes through all of them before the next."""
    kernels = iload(phase + KERNELS)
    at = phase + FIRST + KERNEL * kernels + 16 * share
    if kernels == 1:
        walk(phase + FIRST, iload(at), iload(at + 8))
        return
    for unit in range(iload(at), iload(at + 8)):
        for k in range(kernels):
            walk(phase + FIRST + KERNEL * k, unit, unit + 1)


@linked
def meet(task):
    """Wait for the other threads."""
    if iload(task + BARRIER):
        wait(iload(task + BARRIER))


@linked
def change(task, times):
    """Change every number that does from turn to turn."""
    for k in range(iload(task + CHANGES)):
        number, by = iload(task + CHANGE + 16 * k), iload(task + CHANGE + 16 * k + 8)
        istore(number, iload(number) + times * by)


@c_entry(nb.void(nb.intp))
def do_phases(task):
    """Do every share of a task that falls to the calling thread, whether or not all threads came."""
    me, step, turns = nb.intp(0), nb.intp(1), iload(task + TURNS)
    if iload(task + THREAD):
        me, step = ask(iload(task + THREAD)), ask(iload(task + THREADS))
    phases = task + CHANGE + 16 * iload(task + CHANGES)
    for turn in range(turns):
        phase = phases + 8
        for k in range(iload(phases)):
            if turn + k > 0:
                meet(task)
            share = me
            while share < iload(phase + SHARES):
                do_share(phase, share)
                share += step
            phase += FIRST + KERNEL * iload(phase + KERNELS) + 16 * iload(phase + SHARES)
        if turn + 1 < turns:
            meet(task)
            if me == 0:
                change(task, nb.intp(1))
    if turns > 1:
        meet(task)
        if me == 0:
            change(task, 1 - turns)
