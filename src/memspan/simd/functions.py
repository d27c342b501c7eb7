"""tanh, exp, sigmoid and relu of vectors."""

# mypy: disable-error-code="call-arg, attr-defined, no-untyped-def"

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.extending import intrinsic

from memspan.linked import linked
from memspan.simd.host import LANES
from memspan.simd.vectors import FLAGS, IVEC, VEC, VECTOR, Context, F, call_llvm, multiply_add, splat, vset


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
def _scale(typing: Context, value: Any, shifted: Any) -> Any:
    """Return value · 2ⁿ, n the integer in the low bits of ``shifted`` = n + 1.5 · 2²³."""

    def generate(context: Context, builder: Any, signature: Any, args: Any) -> Any:
        bits = builder.shl(builder.bitcast(args[1], IVEC), splat(IVEC, 23))
        return builder.bitcast(builder.add(builder.bitcast(args[0], IVEC), bits), VEC)

    return VECTOR(VECTOR, VECTOR), generate


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
    """Return tanh of a vector.

    Equations:
        x P(x²) / Q(x²), P and Q of degree 4, x held within ±9, where tanh rounds to ±1. The coefficients
        minimise the largest relative error (2.1e-8 in exact arithmetic); ``tests/test_simd.py``
        derives them again and bounds the error in float32. Rounding may carry a result one step past 1.
    """
    x = clamp(x, F(-9.0), F(9.0))
    y = x * x
    p = y * F(1.3354653383146342e-08) + F(2.060907536360901e-05)
    p = p * y + F(3.495587734505534e-03)
    p = p * y + F(1.3381025195121765e-01)
    p = p * y + F(1.0)
    q = y * F(7.776554866723018e-07) + F(3.28563415678218e-04)
    q = q * y + F(2.5876980274915695e-02)
    q = q * y + F(4.671434164047241e-01)
    q = q * y + F(1.0)
    return x * p * reciprocal(q)


@linked
def exp(x):
    """Return exp of a vector, x held within ±87, where it stays in float32.

    Equations:
        x log₂e = n + f with n whole and |f| ≤ ½; exp(x) = 2ⁿ · 2ᶠ. 2ᶠ is a polynomial of degree 5 that
        is 1 at 0 and minimises the largest relative error; ``tests/test_simd.py`` derives it again.
    """
    x = clamp(x, F(-87.0), F(87.0))
    shifted: Any = multiply_add(x, vset(F(1.4426950216293335)), vset(F(12582912.0)))
    f = multiply_add(x, vset(F(1.4426950216293335)), F(12582912.0) - shifted)
    f = multiply_add(x, vset(F(1.925963033500011e-08)), f)
    e = f * F(0.001326472731307149) + F(0.009671512991189957)
    e = e * f + F(0.05550733581185341)
    e = e * f + F(0.24022242426872253)
    e = e * f + F(0.6931470036506653)
    e = e * f + F(1.0)
    return _scale(e, shifted)


@linked
def sigmoid(x):
    """Return 1 / (1 + exp(−x)) of a vector, x held within ±87, where exp stays in float32."""
    return reciprocal(F(1.0) + exp(F(0.0) - x))


@linked
def relu(x):
    """Return max(0, x) of a vector; NaN stays NaN."""
    return _positive(x, x)


@linked
def where_positive(x, value):
    """Return value where x > 0, else 0: the derivative of relu times value."""
    return _positive(x, value)
