"""A small SIMD vector type for Numba: load and store by address, arithmetic, tanh, exp, sigmoid and relu.

A kernel written on it needs no compiler on the user's machine, no array views in its inner loops (each
view costs reference counting) and no luck with the auto-vectoriser. Everything is addressed by integers,
in bytes; whoever passes an address keeps its buffer alive.

``LANES`` floats make one vector: 16 where the host has AVX-512, else 8 with AVX, else 4. Bits therefore
differ between hosts of different vector length.
"""

# mypy: disable-error-code="call-arg, attr-defined, no-untyped-def"

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numba as nb
from llvmlite import ir
from numba.core import codegen, types
from numba.core.datamodel import models, register_default
from numba.extending import intrinsic, lower_builtin, type_callable

from memspan.linked import linked

Context = Any


def host_features() -> frozenset[str]:
    """Return the CPU features Numba compiles for: the host's, or those NUMBA_CPU_FEATURES names."""
    from numba.core import config

    named = config.CPU_FEATURES
    text = codegen.get_host_cpu_features() if named is None else named
    return frozenset(part[1:] for part in text.split(",") if part.startswith("+"))


def lanes_for(features: frozenset[str]) -> int:
    """Return how many floats one vector of a host with these features holds."""
    if {"avx512f", "avx512vl"} <= features:
        return 16
    return 8 if "avx" in features else 4


LANES = lanes_for(host_features())
VECTOR_BYTES = 4 * LANES
IS_X86 = "sse2" in host_features()

F = nb.float32
_FLAGS = ("contract", "arcp", "nsz")  # fused multiply-add and reciprocals, but NaN and infinity stay
_I32, _I64, _F32, _F64 = ir.IntType(32), ir.IntType(64), ir.FloatType(), ir.DoubleType()
_VEC, _IVEC, _DVEC = (ir.VectorType(kind, LANES) for kind in (_F32, _I32, _F64))


class VectorType(types.Type):
    """Numba's type of one vector of ``lanes`` float32 or, for clocks, float64."""

    def __init__(self, lanes: int, double: bool = False) -> None:
        self.lanes, self.double = lanes, double
        super().__init__(name=f"f{64 if double else 32}x{lanes}")


@register_default(VectorType)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: VectorType) -> None:
        super().__init__(manager, kind, ir.VectorType(_F64 if kind.double else _F32, kind.lanes))


VECTOR = VectorType(LANES)
DOUBLES = VectorType(LANES, double=True)


def _at(builder: Any, address: Any, kind: Any) -> Any:
    return builder.inttoptr(address, kind.as_pointer())


def _splat(kind: ir.VectorType, value: float) -> ir.Constant:
    return ir.Constant(kind, [value] * LANES)


def _spread(builder: Any, kind: ir.VectorType, value: Any) -> Any:
    undefined = ir.Constant(kind, ir.Undefined)
    one = builder.insert_element(undefined, value, ir.Constant(_I32, 0))
    return builder.shuffle_vector(one, undefined, _splat(_IVEC, 0))


@intrinsic
def vload(typing: Context, address: Any) -> Any:
    """Load one vector from an address."""
    return VECTOR(types.intp), lambda c, b, s, a: b.load(_at(b, a[0], _VEC), align=4)


@intrinsic
def vstore(typing: Context, address: Any, value: Any) -> Any:
    """Store one vector at an address."""

    def generate(context: Context, builder: Any, signature: Any, args: Any) -> Any:
        builder.store(args[1], _at(builder, args[0], _VEC), align=4)
        return context.get_dummy_value()

    return types.void(types.intp, VECTOR), generate


def ask_for_line(builder: Any, address: Any, write: bool, far: bool = False) -> None:
    """Write the instruction that asks for the cache line at an address, which need not be a valid one.

    Args:
        write: it will be written.
        far: bring it into the second cache only, as what is not needed at once.
    """
    byte, name = ir.IntType(8), "llvm.prefetch.p0"
    kind = ir.FunctionType(ir.VoidType(), [byte.as_pointer(), _I32, _I32, _I32])
    function = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
    options = (int(write), 2 if far else 3, 1)  # to write or to read, how near, as data
    builder.call(function, [_at(builder, address, byte), *(ir.Constant(_I32, option) for option in options)])


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
            return [_at(builder, builder.add(address, step), _VEC) for step in steps]

        rows = [builder.load(place, align=4) for place in places(*args[2:])]
        half = LANES // 2
        while half:  # swap the off-diagonal quarters of every block, then do the same inside each quarter
            low = [e if e // half % 2 == 0 else LANES + e - half for e in range(LANES)]
            masks = [ir.Constant(_IVEC, mask) for mask in (low, [e + half for e in low])]
            for r in (r for r in range(LANES) if r // half % 2 == 0):
                pair = rows[r], rows[r + half]
                rows[r], rows[r + half] = (builder.shuffle_vector(*pair, mask) for mask in masks)
            half //= 2
        for value, place in zip(rows, places(*args[:2]), strict=True):
            builder.store(value, place, align=4)
        return context.get_dummy_value()

    return types.void(*[types.intp] * 4), generate


@intrinsic
def vset(typing: Context, value: Any) -> Any:
    """Return a vector with one float in every lane."""
    return VECTOR(types.float32), lambda c, b, s, a: _spread(b, _VEC, a[0])


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
                turned = ir.Constant(_IVEC, [(lane + width) % LANES for lane in range(LANES)])
                value = combine(builder, value, builder.shuffle_vector(value, value, turned))
            return builder.extract_element(value, ir.Constant(_I32, 0))

        return number(vector), generate

    return fold


def _sum(builder: Any, a: Any, b: Any) -> Any:
    return builder.fadd(a, b)


vsum, dvsum = folding(_sum, VECTOR, types.float32), folding(_sum, DOUBLES, types.float64)


@intrinsic
def vsqrt(typing: Context, x: Any) -> Any:
    """Return the square roots of a vector."""

    def generate(context: Context, builder: Any, signature: Any, args: Any) -> Any:
        name = f"llvm.sqrt.v{LANES}f32"
        kind = ir.FunctionType(_VEC, [_VEC])
        function = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
        return builder.call(function, args)

    return VECTOR(VECTOR), generate


@intrinsic
def dvload(typing: Context, address: Any) -> Any:
    """Load one vector of float64 from an address."""
    return DOUBLES(types.intp), lambda c, b, s, a: b.load(_at(b, a[0], _DVEC), align=8)


@intrinsic
def dvstore(typing: Context, address: Any, value: Any) -> Any:
    """Store one vector of float64 at an address."""

    def generate(context: Context, builder: Any, signature: Any, args: Any) -> Any:
        builder.store(args[1], _at(builder, args[0], _DVEC), align=8)
        return context.get_dummy_value()

    return types.void(types.intp, DOUBLES), generate


@intrinsic
def dvset(typing: Context, value: Any) -> Any:
    """Return a vector of float64 with one number in every lane."""
    return DOUBLES(types.float64), lambda c, b, s, a: _spread(b, _DVEC, a[0])


@intrinsic
def widen(typing: Context, x: Any) -> Any:
    """Return a vector in float64."""
    return DOUBLES(VECTOR), lambda c, b, s, a: b.fpext(a[0], _DVEC)


@intrinsic
def narrow(typing: Context, x: Any) -> Any:
    """Return a vector of float64 rounded to float32."""
    return VECTOR(DOUBLES), lambda c, b, s, a: b.fptrunc(a[0], _VEC)


@intrinsic
def floor(typing: Context, x: Any) -> Any:
    """Return the largest whole numbers not above a vector of float64."""

    def generate(context: Context, builder: Any, signature: Any, args: Any) -> Any:
        name = f"llvm.floor.v{LANES}f64"
        kind = ir.FunctionType(_DVEC, [_DVEC])
        function = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
        return builder.call(function, args)

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
        return builder.zext(builder.bitcast(less, ir.IntType(LANES)), _I64)

    return types.intp(DOUBLES, DOUBLES), generate


@intrinsic
def lowest_bit(typing: Context, bits: Any) -> Any:
    """Return the place of the lowest bit that is set; there must be one."""

    def generate(context: Context, builder: Any, signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.intp(types.intp), generate


@intrinsic
def fload(typing: Context, address: Any) -> Any:
    """Load one float from an address."""
    return types.float32(types.intp), lambda c, b, s, a: b.load(_at(b, a[0], _F32), align=4)


@intrinsic
def fstore(typing: Context, address: Any, value: Any) -> Any:
    """Store one float at an address."""

    def generate(context: Context, builder: Any, signature: Any, args: Any) -> Any:
        builder.store(args[1], _at(builder, args[0], _F32), align=4)
        return context.get_dummy_value()

    return types.void(types.intp, types.float32), generate


@intrinsic
def dload(typing: Context, address: Any) -> Any:
    """Load one float64 from an address."""
    return types.float64(types.intp), lambda c, b, s, a: b.load(_at(b, a[0], _F64), align=8)


@intrinsic
def dstore(typing: Context, address: Any, value: Any) -> Any:
    """Store one float64 at an address."""

    def generate(context: Context, builder: Any, signature: Any, args: Any) -> Any:
        builder.store(args[1], _at(builder, args[0], _F64), align=8)
        return context.get_dummy_value()

    return types.void(types.intp, types.float64), generate


@intrinsic
def iload(typing: Context, address: Any) -> Any:
    """Load one 64-bit integer from an address."""
    return types.intp(types.intp), lambda c, b, s, a: b.load(_at(b, a[0], _I64), align=8)


@intrinsic
def istore(typing: Context, address: Any, value: Any) -> Any:
    """Store one 64-bit integer at an address."""

    def generate(context: Context, builder: Any, signature: Any, args: Any) -> Any:
        builder.store(args[1], _at(builder, args[0], _I64), align=8)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp), generate


@intrinsic
def bload(typing: Context, address: Any) -> Any:
    """Load one byte from an address."""

    def generate(context: Context, builder: Any, signature: Any, args: Any) -> Any:
        return builder.zext(builder.load(_at(builder, args[0], ir.IntType(8)), align=1), _I64)

    return types.intp(types.intp), generate


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
        vector, number = (_DVEC, types.float64) if signature.return_type.double else (_VEC, types.float32)
        both = [
            value
            if isinstance(kind, VectorType)
            else _spread(builder, vector, context.cast(builder, value, kind, number))
            for kind, value in zip(signature.args, args, strict=True)
        ]
        return getattr(builder, instruction)(*both, flags=_FLAGS)

    for kinds in ((VectorType, VectorType), (VectorType, types.Float), (types.Float, VectorType)):
        lower_builtin(function, *kinds)(generate)


_operator(operator.add, "fadd")
_operator(operator.sub, "fsub")
_operator(operator.mul, "fmul")
_operator(operator.truediv, "fdiv")


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
        zero = _splat(_VEC, 0.0)
        return builder.select(builder.fcmp_unordered(">", args[0], zero), args[1], zero)

    return VECTOR(VECTOR, VECTOR), generate


@intrinsic
def _scale(typing: Context, value: Any, shifted: Any) -> Any:
    """Return value · 2ⁿ, n the integer in the low bits of ``shifted`` = n + 1.5 · 2²³."""

    def generate(context: Context, builder: Any, signature: Any, args: Any) -> Any:
        bits = builder.shl(builder.bitcast(args[1], _IVEC), _splat(_IVEC, 23))
        return builder.bitcast(builder.add(builder.bitcast(args[0], _IVEC), bits), _VEC)

    return VECTOR(VECTOR, VECTOR), generate


@intrinsic
def reciprocal(typing: Context, x: Any) -> Any:
    """Return 1 / x of finite numbers: with AVX-512 an estimate and one Newton step, else a division."""

    def generate(context: Context, builder: Any, signature: Any, args: Any) -> Any:
        one = _splat(_VEC, 1.0)
        if LANES != 16:
            return builder.fdiv(one, args[0])
        mask = ir.IntType(16)
        kind = ir.FunctionType(_VEC, [_VEC, _VEC, mask])
        name = "llvm.x86.avx512.rcp14.ps.512"
        function = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
        guess = builder.call(function, [args[0], _splat(_VEC, 0.0), ir.Constant(mask, -1)])
        error = builder.fsub(one, builder.fmul(args[0], guess, flags=_FLAGS), flags=_FLAGS)
        return builder.fadd(guess, builder.fmul(guess, error, flags=_FLAGS), flags=_FLAGS)

    return VECTOR(VECTOR), generate


@intrinsic
def multiply_add(typing: Context, a: Any, b: Any, c: Any) -> Any:
    """Return a · b + c of vectors, rounded once where the host can."""

    def generate(context: Context, builder: Any, signature: Any, args: Any) -> Any:
        name = f"llvm.fmuladd.v{LANES}f32"
        kind = ir.FunctionType(_VEC, [_VEC] * 3)
        function = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
        return builder.call(function, args)

    return VECTOR(VECTOR, VECTOR, VECTOR), generate


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


def _control_word(store: bool) -> Any:
    """Return an intrinsic that reads or writes the word of floating-point modes (MXCSR) at an address."""
    name = "llvm.x86.sse.stmxcsr" if store else "llvm.x86.sse.ldmxcsr"

    @intrinsic
    def word(typing: Context, address: Any) -> Any:
        def generate(context: Context, builder: Any, signature: Any, args: Any) -> Any:
            if IS_X86:
                pointer = ir.IntType(8).as_pointer()
                kind = ir.FunctionType(ir.VoidType(), [pointer])
                found = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
                builder.call(found, [builder.inttoptr(args[0], pointer)])
            return context.get_dummy_value()

        return types.void(types.intp), generate

    return word


_read_modes, _write_modes = _control_word(True), _control_word(False)
_FLUSH = 0x8040  # denormal results and denormal operands count as zero


@intrinsic
def _set_flush(typing: Context, address: Any) -> Any:
    """Set the flush bits in the 32-bit word at an address."""

    def generate(context: Context, builder: Any, signature: Any, args: Any) -> Any:
        word = _at(builder, args[0], _I32)
        builder.store(builder.or_(builder.load(word), ir.Constant(_I32, _FLUSH)), word)
        return context.get_dummy_value()

    return types.void(types.intp), generate


@linked
def flush_denormals(scratch):
    """Treat denormals as zero in this thread until ``restore_modes``; scratch: address of 8 bytes."""
    _read_modes(scratch)
    _read_modes(scratch + 4)
    _set_flush(scratch + 4)
    _write_modes(scratch + 4)


@linked
def restore_modes(scratch):
    """Undo ``flush_denormals``."""
    _write_modes(scratch)
