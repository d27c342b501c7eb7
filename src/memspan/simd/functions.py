"""tanh, exp, sigmoid and relu of vectors."""

# mypy: disable-error-code="call-arg, attr-defined, no-untyped-def"

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from memspan.linked import linked
from memspan.simd.host import LANES
from memspan.simd.vectors import (
    FLAGS,
    I32,
    IVEC,
    VEC,
    VECTOR,
    Context,
    F,
    call_llvm,
    multiply_add,
    splat,
    spread,
    vset,
)

LARGEST_EXPONENT = F(88.3 if LANES == 16 else 89.0)
"""Of exp in the sigmoid: ∞ where a division follows, below it where ``reciprocal`` must not meet ∞ · 0."""


def _selection(predicate: str) -> Any:
    """Return an intrinsic: the bound where ``bound predicate x`` holds, else x. NaN in x stays NaN."""

    @intrinsic
    def select(typing: Context, bound: Any, x: Any) -> Any:
        def generate(context: Context, builder: Any, signature: Any, args: Any) -> Any:
            return builder.select(builder.fcmp_ordered(predicate, args[0], args[1]), args[0], args[1])

        return VECTOR(VECTOR, VECTOR), generate

    return select


_at_most, _at_least = _selection("<"), _selection(">")


@linked
def clamp(x, low, high):
    """Return a vector held between two floats; NaN stays NaN."""
    return _at_most(vset(high), _at_least(vset(low), x))


@intrinsic
def _positive(typing: Context, x: Any, value: Any) -> Any:
    """Return value where x > 0 or x is NaN, else 0."""

    def generate(context: Context, builder: Any, signature: Any, args: Any) -> Any:
        zero = splat(VEC, 0.0)
        return builder.select(builder.fcmp_unordered(">", args[0], zero), args[1], zero)

    return VECTOR(VECTOR, VECTOR), generate


@intrinsic
def first_lanes(typing: Context, x: Any, count: Any) -> Any:
    """Return x in the first ``count`` lanes, which may be none, and 0 in the others, NaN or not."""

    def generate(context: Context, builder: Any, signature: Any, args: Any) -> Any:
        lanes = ir.Constant(IVEC, list(range(LANES)))
        inside = builder.icmp_signed("<", lanes, spread(builder, IVEC, builder.trunc(args[1], I32)))
        return builder.select(inside, args[0], splat(VEC, 0.0))

    return VECTOR(VECTOR, types.intp), generate


@intrinsic
def where_live(typing: Context, live: Any, x: Any, other: Any) -> Any:
    """Return x in the lanes where ``live`` is not 0, else other, whatever x is there."""

    def generate(context: Context, builder: Any, signature: Any, args: Any) -> Any:
        inside = builder.fcmp_unordered("!=", args[0], splat(VEC, 0.0))
        return builder.select(inside, args[1], args[2])

    return VECTOR(VECTOR, VECTOR, VECTOR), generate


@intrinsic
def _power_of_two(typing: Context, shifted: Any) -> Any:
    """Return 2ⁿ, n in −126 … 128 the integer in the low bits of ``shifted`` = n + 1.5 · 2²³; 2¹²⁸ is ∞."""

    def generate(context: Context, builder: Any, signature: Any, args: Any) -> Any:
        exponent = builder.shl(builder.bitcast(args[0], IVEC), splat(IVEC, 23))
        one = splat(IVEC, 0x3F800000)
        return builder.bitcast(builder.add(exponent, one), VEC)

    return VECTOR(VECTOR), generate


@intrinsic
def reciprocal(typing: Context, x: Any) -> Any:
    """Return 1 / x of finite numbers: with AVX-512 an estimate and one Newton step, else a division."""

    def generate(context: Context, builder: Any, signature: Any, args: Any) -> Any:
        one = splat(VEC, 1.0)
        if LANES != 16:
            return builder.fdiv(one, args[0])
        inputs = [args[0], splat(VEC, 0.0), ir.Constant(ir.IntType(16), -1)]
        guess = call_llvm(builder, "llvm.x86.avx512.rcp14.ps.512", VEC, inputs)
        error = builder.fsub(one, builder.fmul(args[0], guess, flags=FLAGS), flags=FLAGS)
        return builder.fadd(guess, builder.fmul(guess, error, flags=FLAGS), flags=FLAGS)

    return VECTOR(VECTOR), generate


@linked
def tanh(x):
    """Return tanh of a vector, in −1 … 1.

    Equations:
        x P(x²) / Q(x²), P and Q of degree 4, x² held below 81: at ±9 tanh rounds to ±1. The coefficients
        minimise the largest relative error (2.1e-8 in exact arithmetic); ``tests/test_simd.py``
        derives them again and bounds the error in float32.
    """
    # x itself is not held: past ±9 the quotient only grows, and the result is cut at ±1. So a saturated unit
    # is exactly ±1 and its derivative 1 − tanh² exactly 0; one rounding above 1 would make it negative.
    y = _at_most(vset(F(81.0)), x * x)
    p = y * F(1.3354653383146342e-08) + F(2.060907536360901e-05)
    p = p * y + F(3.495587734505534e-03)
    p = p * y + F(1.3381025195121765e-01)
    p = p * y + F(1.0)
    q = y * F(7.776554866723018e-07) + F(3.28563415678218e-04)
    q = q * y + F(2.5876980274915695e-02)
    q = q * y + F(4.671434164047241e-01)
    q = q * y + F(1.0)
    return clamp(x * p * reciprocal(q), F(-1.0), F(1.0))


@linked
def _exp_parts(x):
    """Return 2ᶠ and 2ⁿ with exp(x) = 2ⁿ · 2ᶠ for −87 ≤ x ≤ 89; 2ᶠ is NaN where x is.

    Equations:
        x log₂e = n + f with n whole and |f| ≤ ½. 2ᶠ is a polynomial of degree 5 that is 1 at 0 and minimises
        the largest relative error; ``tests/test_simd.py`` derives it again.
    """
    shifted: Any = multiply_add(x, vset(F(1.4426950216293335)), vset(F(12582912.0)))
    f = multiply_add(x, vset(F(1.4426950216293335)), F(12582912.0) - shifted)
    f = multiply_add(x, vset(F(1.925963033500011e-08)), f)
    e = f * F(0.001326472731307149) + F(0.009671512991189957)
    e = e * f + F(0.05550733581185341)
    e = e * f + F(0.24022242426872253)
    e = e * f + F(0.6931470036506653)
    e = e * f + F(1.0)
    return e, _power_of_two(shifted)


@linked
def exp(x):
    """Return exp of a vector, x held within ±87, where it stays in float32; NaN stays NaN."""
    fraction, power = _exp_parts(clamp(x, F(-87.0), F(87.0)))
    return fraction * power


@linked
def sigmoid(x):
    """Return 1 / (1 + exp(−x)) of a vector, in 0 … 1: exactly 1 from about 17 on, 0 up to −89.

    The zero counts: a closed gate's derivative must vanish however large the input that closed it. Where
    denormals are flushed it begins at −87.4; with AVX-512 and denormals kept it is 4.5e-39 instead.
    """
    fraction, power = _exp_parts(clamp(F(0.0) - x, F(-87.0), LARGEST_EXPONENT))
    return reciprocal(multiply_add(fraction, power, vset(F(1.0))))


@linked
def relu(x):
    """Return max(0, x) of a vector; NaN stays NaN."""
    return _positive(x, x)


@linked
def where_positive(x, value):
    """Return value where x > 0, else 0: the derivative of relu times value."""
    return _positive(x, value)
