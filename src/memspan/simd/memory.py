"""Loads and stores by address, in bytes; lines asked for ahead of time; blocks turned."""

# mypy: disable-error-code="call-arg, attr-defined, no-untyped-def"

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from memspan.simd.host import LANES
from memspan.simd.vectors import DOUBLES, DVEC, F32, F64, I32, I64, IVEC, VEC, VECTOR, Context, pointer_to


@intrinsic
def vload(typing: Context, address: Any) -> Any:
    """Load one vector from an address."""
    return VECTOR(types.intp), lambda c, b, s, a: b.load(pointer_to(b, a[0], VEC), align=4)


@intrinsic
def vstore(typing: Context, address: Any, value: Any) -> Any:
    """Store one vector at an address."""

    def generate(context: Context, builder: Any, signature: Any, args: Any) -> Any:
        builder.store(args[1], pointer_to(builder, args[0], VEC), align=4)
        return context.get_dummy_value()

    return types.void(types.intp, VECTOR), generate


@intrinsic
def dvload(typing: Context, address: Any) -> Any:
    """Load one vector of float64 from an address."""
    return DOUBLES(types.intp), lambda c, b, s, a: b.load(pointer_to(b, a[0], DVEC), align=8)


@intrinsic
def dvstore(typing: Context, address: Any, value: Any) -> Any:
    """Store one vector of float64 at an address."""

    def generate(context: Context, builder: Any, signature: Any, args: Any) -> Any:
        builder.store(args[1], pointer_to(builder, args[0], DVEC), align=8)
        return context.get_dummy_value()

    return types.void(types.intp, DOUBLES), generate


@intrinsic
def fload(typing: Context, address: Any) -> Any:
    """Load one float from an address."""
    return types.float32(types.intp), lambda c, b, s, a: b.load(pointer_to(b, a[0], F32), align=4)


@intrinsic
def fstore(typing: Context, address: Any, value: Any) -> Any:
    """Store one float at an address."""

    def generate(context: Context, builder: Any, signature: Any, args: Any) -> Any:
        builder.store(args[1], pointer_to(builder, args[0], F32), align=4)
        return context.get_dummy_value()

    return types.void(types.intp, types.float32), generate


@intrinsic
def dload(typing: Context, address: Any) -> Any:
    """Load one float64 from an address."""
    return types.float64(types.intp), lambda c, b, s, a: b.load(pointer_to(b, a[0], F64), align=8)


@intrinsic
def dstore(typing: Context, address: Any, value: Any) -> Any:
    """Store one float64 at an address."""

    def generate(context: Context, builder: Any, signature: Any, args: Any) -> Any:
        builder.store(args[1], pointer_to(builder, args[0], F64), align=8)
        return context.get_dummy_value()

    return types.void(types.intp, types.float64), generate


@intrinsic
def iload(typing: Context, address: Any) -> Any:
    """Load one 64-bit integer from an address."""
    return types.intp(types.intp), lambda c, b, s, a: b.load(pointer_to(b, a[0], I64), align=8)


@intrinsic
def istore(typing: Context, address: Any, value: Any) -> Any:
    """Store one 64-bit integer at an address."""

    def generate(context: Context, builder: Any, signature: Any, args: Any) -> Any:
        builder.store(args[1], pointer_to(builder, args[0], I64), align=8)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp), generate


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
    byte, name = ir.IntType(8), "llvm.prefetch.p0"
    kind = ir.FunctionType(ir.VoidType(), [byte.as_pointer(), I32, I32, I32])
    function = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
    options = (int(write), 2 if far else 3, 1)  # to write or to read, how near, as data
    builder.call(
        function, [pointer_to(builder, address, byte), *(ir.Constant(I32, option) for option in options)]
    )


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
