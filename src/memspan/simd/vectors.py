"""Vectors as a type of Numba: arithmetic, sums, float64 for clocks.

What writes LLVM's instructions is shared with the other files here.
"""

# mypy: disable-error-code="call-arg, attr-defined, no-untyped-def"

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numba as nb
from llvmlite import ir
from numba.core import types
from numba.core.datamodel import models, register_default
from numba.extending import intrinsic, lower_builtin, type_callable

from memspan.simd.host import LANES

Context = Any


F = nb.float32
FLAGS = ("contract", "arcp", "nsz")  # fused multiply-add and reciprocals, but NaN and infinity stay
I32, I64, F32, F64 = ir.IntType(32), ir.IntType(64), ir.FloatType(), ir.DoubleType()
VEC, IVEC, DVEC = (ir.VectorType(kind, LANES) for kind in (F32, I32, F64))


class VectorType(types.Type):
    """Numba's type of one vector of ``lanes`` float32 or, for clocks, float64."""

    def __init__(self, lanes: int, double: bool = False) -> None:
        self.lanes, self.double = lanes, double
        super().__init__(name=f"f{64 if double else 32}x{lanes}")


@register_default(VectorType)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: VectorType) -> None:
        super().__init__(manager, kind, ir.VectorType(F64 if kind.double else F32, kind.lanes))


VECTOR = VectorType(LANES)
DOUBLES = VectorType(LANES, double=True)


def pointer_to(builder: Any, address: Any, kind: Any) -> Any:
    """Write the instruction that makes a pointer of an address."""
    return builder.inttoptr(address, kind.as_pointer())


def splat(kind: ir.VectorType, value: float) -> ir.Constant:
    """Return a constant with one value in every lane."""
    return ir.Constant(kind, [value] * LANES)


def spread(builder: Any, kind: ir.VectorType, value: Any) -> Any:
    """Write the instructions that put one value into every lane."""
    undefined = ir.Constant(kind, ir.Undefined)
    one = builder.insert_element(undefined, value, ir.Constant(I32, 0))
    return builder.shuffle_vector(one, undefined, splat(IVEC, 0))


def call_llvm(builder: Any, name: str, result: ir.Type, args: list[Any]) -> Any:
    """Write the call of a function of LLVM's own, which every module declares once."""
    kind = ir.FunctionType(result, [arg.type for arg in args])
    return builder.call(builder.module.globals.get(name) or ir.Function(builder.module, kind, name), args)


def _operator(function: Any, instruction: str) -> None:
    """Teach Numba one arithmetic operator on vectors, and on a vector and a float."""

    @type_callable(function)
    def typer(context: Context) -> Any:
        def result(a: Any, b: Any) -> Any:
            vectors = [kind for kind in (a, b) if isinstance(kind, VectorType)]
            rest = [kind for kind in (a, b) if kind not in vectors and not isinstance(kind, types.Float)]
            return vectors[0] if vectors and len({*vectors}) == 1 and not rest else None

        return result

    def generate(context: Context, builder: Any, signature: Any, args: Any) -> Any:
        vector, number = (DVEC, types.float64) if signature.return_type.double else (VEC, types.float32)
        both = [
            value
            if isinstance(kind, VectorType)
            else spread(builder, vector, context.cast(builder, value, kind, number))
            for kind, value in zip(signature.args, args, strict=True)
        ]
        return getattr(builder, instruction)(*both, flags=FLAGS)

    for kinds in ((VectorType, VectorType), (VectorType, types.Float), (types.Float, VectorType)):
        lower_builtin(function, *kinds)(generate)


_operator(operator.add, "fadd")
_operator(operator.sub, "fsub")
_operator(operator.mul, "fmul")
_operator(operator.truediv, "fdiv")


@intrinsic
def vset(typing: Context, value: Any) -> Any:
    """Return a vector with one float in every lane."""
    return VECTOR(types.float32), lambda c, b, s, a: spread(b, VEC, a[0])


@intrinsic
def dvset(typing: Context, value: Any) -> Any:
    """Return a vector of float64 with one number in every lane."""
    return DOUBLES(types.float64), lambda c, b, s, a: spread(b, DVEC, a[0])


@intrinsic
def multiply_add(typing: Context, a: Any, b: Any, c: Any) -> Any:
    """Return a · b + c of vectors, rounded once where the host can."""

    def generate(context: Context, builder: Any, signature: Any, args: Any) -> Any:
        return call_llvm(builder, f"llvm.fmuladd.v{LANES}f32", VEC, args)

    return VECTOR(VECTOR, VECTOR, VECTOR), generate


@intrinsic
def vsqrt(typing: Context, x: Any) -> Any:
    """Return the square roots of a vector."""

    def generate(context: Context, builder: Any, signature: Any, args: Any) -> Any:
        return call_llvm(builder, f"llvm.sqrt.v{LANES}f32", VEC, args)

    return VECTOR(VECTOR), generate


def folding(combine: Callable[[Any, Any, Any], Any], vector: VectorType, number: types.Float) -> Any:
    """Return an intrinsic that makes one number of a vector's, halves combined with halves.

    Args:
        combine: writes the instructions that combine two vectors lane by lane: (builder, a, b) → vector.
    """

    @intrinsic
    def fold(typing: Context, x: Any) -> Any:
        def generate(context: Context, builder: Any, signature: Any, args: Any) -> Any:
            value, width = args[0], LANES
            while width > 1:
                width //= 2
                turned = ir.Constant(IVEC, [(lane + width) % LANES for lane in range(LANES)])
                value = combine(builder, value, builder.shuffle_vector(value, value, turned))
            return builder.extract_element(value, ir.Constant(I32, 0))

        return number(vector), generate

    return fold


def _sum(builder: Any, a: Any, b: Any) -> Any:
    return builder.fadd(a, b)


vsum, dvsum = folding(_sum, VECTOR, types.float32), folding(_sum, DOUBLES, types.float64)


@intrinsic
def widen(typing: Context, x: Any) -> Any:
    """Return a vector in float64."""
    return DOUBLES(VECTOR), lambda c, b, s, a: b.fpext(a[0], DVEC)


@intrinsic
def narrow(typing: Context, x: Any) -> Any:
    """Return a vector of float64 rounded to float32."""
    return VECTOR(DOUBLES), lambda c, b, s, a: b.fptrunc(a[0], VEC)


@intrinsic
def floor(typing: Context, x: Any) -> Any:
    """Return the largest whole numbers not above a vector of float64."""

    def generate(context: Context, builder: Any, signature: Any, args: Any) -> Any:
        return call_llvm(builder, f"llvm.floor.v{LANES}f64", DVEC, args)

    return DOUBLES(DOUBLES), generate


@intrinsic
def where_less(typing: Context, a: Any, b: Any, then: Any, other: Any) -> Any:
    """Return ``then`` where a < b, else ``other``: vectors of float64."""

    def generate(context: Context, builder: Any, signature: Any, args: Any) -> Any:
        return builder.select(builder.fcmp_ordered("<", args[0], args[1]), args[2], args[3])

    return DOUBLES(DOUBLES, DOUBLES, DOUBLES, DOUBLES), generate


@intrinsic
def less_bits(typing: Context, a: Any, b: Any) -> Any:
    """Return a whole number whose bit k says whether a < b, or one is NaN, in lane k: vectors of float64."""

    def generate(context: Context, builder: Any, signature: Any, args: Any) -> Any:
        less = builder.fcmp_unordered("<", args[0], args[1])
        return builder.zext(builder.bitcast(less, ir.IntType(LANES)), I64)

    return types.intp(DOUBLES, DOUBLES), generate


@intrinsic
def lowest_bit(typing: Context, bits: Any) -> Any:
    """Return the place of the lowest bit that is set; there must be one."""

    def generate(context: Context, builder: Any, signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.intp(types.intp), generate
