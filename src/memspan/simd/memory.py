"""Loads and stores by address, in bytes; lines asked for ahead of time; blocks turned."""

# mypy: disable-error-code="call-arg, attr-defined, no-untyped-def"

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from memspan.simd.host import LANES
from memspan.simd.vectors import (
    DOUBLES,
    DVEC,
    F32,
    F64,
    I32,
    I64,
    IVEC,
    VEC,
    VECTOR,
    Context,
    call_llvm,
    pointer_to,
)


def _access(number: types.Type, kind: ir.Type, align: int) -> tuple[Any, Any]:
    """Return two intrinsics: (address) → what lies there, and (address, value), which puts it there."""

    @intrinsic
    def load(typing: Context, address: Any) -> Any:
        return number(types.intp), lambda c, b, s, a: b.load(pointer_to(b, a[0], kind), align=align)

    @intrinsic
    def store(typing: Context, address: Any, value: Any) -> Any:
        def generate(context: Context, builder: Any, signature: Any, args: Any) -> Any:
            builder.store(args[1], pointer_to(builder, args[0], kind), align=align)
            return context.get_dummy_value()

        return types.void(types.intp, number), generate

    return load, store


vload, vstore = _access(VECTOR, VEC, 4)
dvload, dvstore = _access(DOUBLES, DVEC, 8)
fload, fstore = _access(types.float32, F32, 4)
dload, dstore = _access(types.float64, F64, 8)
iload, istore = _access(types.intp, I64, 8)


@intrinsic
def bload(typing: Context, address: Any) -> Any:
    """Load one byte from an address."""

    def generate(context: Context, builder: Any, signature: Any, args: Any) -> Any:
        return builder.zext(builder.load(pointer_to(builder, args[0], ir.IntType(8)), align=1), I64)

    return types.intp(types.intp), generate


def ask_for_line(builder: Any, address: Any, write: bool, far: bool = False) -> None:
    """Write the instruction that asks for the cache line at an address, which need not be a valid one.

    Args:
        write: it will be written.
        far: bring it into the second cache only, as what is not needed at once.
    """
    options = (int(write), 2 if far else 3, 1)  # to write or to read, how near, as data
    args = [pointer_to(builder, address, ir.IntType(8)), *(ir.Constant(I32, option) for option in options)]
    call_llvm(builder, "llvm.prefetch.p0", ir.VoidType(), args)


def _prefetching(write: bool, far: bool = False) -> Any:
    """Return an intrinsic that asks for the cache line at an address."""

    @intrinsic
    def ask(typing: Context, address: Any) -> Any:
        def generate(context: Context, builder: Any, signature: Any, args: Any) -> Any:
            ask_for_line(builder, args[0], write, far)
            return context.get_dummy_value()

        return types.void(types.intp), generate

    return ask


prefetch_far, prefetch_to_write = _prefetching(write=False, far=True), _prefetching(write=True)


@intrinsic
def transpose(typing: Context, target: Any, target_row: Any, source: Any, source_row: Any) -> Any:
    """Copy a block of LANES × LANES floats and turn it; the rows of both lie so many bytes apart."""

    def generate(context: Context, builder: Any, signature: Any, args: Any) -> Any:
        def places(address: Any, row: Any) -> list[Any]:
            steps = (builder.mul(row, ir.Constant(row.type, r)) for r in range(LANES))
            return [pointer_to(builder, builder.add(address, step), VEC) for step in steps]

        rows = [builder.load(place, align=4) for place in places(*args[2:])]
        half = LANES // 2
        while half:  # swap the off-diagonal quarters of every block, then do the same inside each quarter
            low = [e if e // half % 2 == 0 else LANES + e - half for e in range(LANES)]
            masks = [ir.Constant(IVEC, mask) for mask in (low, [e + half for e in low])]
            for r in (r for r in range(LANES) if r // half % 2 == 0):
                pair = rows[r], rows[r + half]
                rows[r], rows[r + half] = (builder.shuffle_vector(*pair, mask) for mask in masks)
            half //= 2
        for value, place in zip(rows, places(*args[:2]), strict=True):
            builder.store(value, place, align=4)
        return context.get_dummy_value()

    return types.void(*[types.intp] * 4), generate
