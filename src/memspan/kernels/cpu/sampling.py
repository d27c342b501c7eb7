"""Choosing the next symbol from a row of energies: temperature, top-k, top-p, min-p and a random number.

A row of weights exp((e − max e)/T) is at most 1, and positive floats are ordered as their bits are. So each
filter is a bound on the weights, found by halving the range of bits: no sorting; equal weights are kept or
dropped together. Random numbers are counted, not drawn: that of (seed, position) knows no other row or call.
"""

# mypy: disable-error-code="no-untyped-def, call-arg, var-annotated"

from __future__ import annotations

import math
from typing import Any

import numba as nb
from numba.core import types
from numba.extending import intrinsic

from memspan.linked import linked
from memspan.simd import (
    VECTOR,
    VECTOR_BYTES,
    F,
    exp,
    fload,
    folding,
    fstore,
    iload,
    istore,
    vload,
    vset,
    vstore,
    vsum,
)
from memspan.simd.vectors import F32, I32, VEC, splat

_ONE = 0x3F800000  # the bits of 1.0
LEAST = F(-87.0)  # exp holds its argument within ±87
_U32, _U64 = nb.uint32, nb.uint64


@intrinsic
def where_at_least(typing: Any, x: Any, bound: Any, value: Any) -> Any:
    """Return value where x ≥ bound, else 0: not where x is NaN."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        zero = splat(VEC, 0.0)
        return builder.select(builder.fcmp_ordered(">=", args[0], args[1]), args[2], zero)

    return VECTOR(VECTOR, VECTOR, VECTOR), generate


def _larger(builder: Any, a: Any, b: Any) -> Any:
    """Return the larger of two vectors, lane by lane; NaN where either is NaN."""
    ordered = builder.select(builder.fcmp_unordered(">", a, b), a, b)
    return builder.select(builder.fcmp_unordered("uno", b, b), b, ordered)


@intrinsic
def larger(typing: Any, a: Any, b: Any) -> Any:
    """Return the larger of two vectors, lane by lane; NaN where either is NaN."""
    return VECTOR(VECTOR, VECTOR), lambda c, builder, s, args: _larger(builder, *args)


largest_lane = folding(_larger, VECTOR, types.float32)


@intrinsic
def float_of(typing: Any, bits: Any) -> Any:
    """Return the float32 whose bits these are."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(builder.trunc(args[0], I32), F32)

    return types.float32(types.intp), generate


@linked
def random_word(seed, position):
    """Return 32 random bits that belong to (seed, position), both 64-bit.

    Source:
        Philox4x32-10, J. Salmon, M. Moraes, R. Dror & D. Shaw (2011), "Parallel random numbers: as easy as
        1, 2, 3"; the counter is (position, 0), the first of its four words is returned.
    """
    key0, key1 = _U32(seed), _U32(_U64(seed) >> _U64(32))
    c0, c1, c2, c3 = _U32(position), _U32(_U64(position) >> _U64(32)), _U32(0), _U32(0)
    for _ in range(10):
        p0, p1 = _U64(0xD2511F53) * _U64(c0), _U64(0xCD9E8D57) * _U64(c2)
        high0, high1 = _U32(p0 >> _U64(32)), _U32(p1 >> _U64(32))
        c0, c1, c2, c3 = high1 ^ c1 ^ key0, _U32(p1), high0 ^ c3 ^ key1, _U32(p0)
        key0, key1 = _U32(key0 + _U32(0x9E3779B9)), _U32(key1 + _U32(0xBB67AE85))
    return c0


@linked
def uniform(seed, position):
    """Return a number in [0, 1), a multiple of 2⁻²⁴, that belongs to (seed, position)."""
    return F(random_word(seed, position) >> _U32(8)) * F(2.0**-24)


@linked
def largest(energies, padded):
    """Return the largest of a row of energies."""
    top = vload(energies)
    for k in range(VECTOR_BYTES, 4 * padded, VECTOR_BYTES):
        top = larger(vload(energies + k), top)
    return largest_lane(top)


@linked
def weigh(energies, weights, count, padded, top, scale):
    """weights = exp(scale · (energies − top)), 0 in the padding; return their sum.

    Below ``LEAST``, where exp would round up to it, the weight is 0: an energy of −∞ forbids its symbol.
    """
    for k in range(0, 4 * padded, VECTOR_BYTES):
        power = (vload(energies + k) - top) * scale
        vstore(weights + k, where_at_least(power, vset(LEAST), exp(power)))
    for k in range(count, padded):
        fstore(weights + 4 * k, F(0.0))
    return kept(weights, padded, F(0.0), False)


@linked
def kept(weights, padded, bound, counting):
    """Return the sum of the weights that are at least a bound, or their number."""
    total, limit, one = vset(F(0.0)), vset(bound), vset(F(1.0))
    for k in range(0, 4 * padded, VECTOR_BYTES):
        weight = vload(weights + k)
        total = total + where_at_least(weight, limit, one if counting else weight)
    return vsum(total)


@linked
def bound_for(weights, padded, goal, counting):
    """Return the largest bound under which the kept weights still sum to a goal, or are so many."""
    low, high = nb.intp(0), nb.intp(_ONE + 1)
    while high - low > 1:
        middle = (low + high) // 2
        if kept(weights, padded, float_of(middle), counting) >= goal:
            low = middle
        else:
            high = middle
    return float_of(low)


@linked
def filtered(weights, count, padded, top_k, top_p, min_p):
    """Return the bound that top-k, then top-p of what is left, then min-p put on the weights."""
    bound = F(0.0)
    if 0 < top_k < count:
        bound = bound_for(weights, padded, F(top_k), True)
    if top_p < 1.0:
        goal = F(top_p) * kept(weights, padded, bound, False)
        bound = max(bound, bound_for(weights, padded, goal, False))
    return max(bound, F(min_p))


@linked
def pick(weights, count, bound, target):
    """Return the first symbol at which the sum of the kept weights passes a target; −1 if none is kept.

    Sums in another order may not quite reach the target; then it is the last one kept, never one of weight 0.
    """
    total = F(0.0)
    last: Any = nb.intp(-1)
    for k in range(count):
        weight = fload(weights + 4 * k)
        if weight >= bound and weight > F(0.0):
            total, last = total + weight, k
            if total > target:
                break
    return last


@linked
def first_largest(energies, count, top):
    """Return the first symbol with the largest energy; −1 if there is none."""
    for k in range(count):
        if fload(energies + 4 * k) == top:
            return nb.intp(k)
    return nb.intp(-1)


@linked
def choose(w, energies, weights, seed, position):
    """Return the next symbol of one row by the settings of a writing w; −1 where no distribution is defined.

    That is so with NaN or +∞ among the energies, or nothing but −∞.
    """
    top = largest(energies, w.padded)
    if not -math.inf < top < math.inf:
        return nb.intp(-1)
    if w.scale == 0.0:
        return first_largest(energies, w.K, top)
    weigh(energies, weights, w.K, w.padded, top, F(w.scale))
    bound = filtered(weights, w.K, w.padded, w.top_k, w.top_p, w.min_p)
    mass = kept(weights, w.padded, bound, False)
    return pick(weights, w.K, bound, uniform(seed, position) * mass)


@linked
def tell(w, energies, weights, symbol, log_probability, distribution):
    """Write ln p(symbol) and every symbol's p under the model's own distribution, where they are wanted."""
    top = largest(energies, w.padded)
    total = weigh(energies, weights, w.K, w.padded, top, F(w.own_scale))
    if log_probability:
        distance = (fload(energies + 4 * symbol) - top) * F(w.own_scale)
        fstore(log_probability, F(distance - math.log(total)))
    if distribution:
        for k in range(w.K):
            fstore(distribution + 4 * k, fload(weights + 4 * k) / total)


@linked
def write_symbols(w, step):
    """Choose every row's next symbol; it is the next step's input."""
    for r in range(w.rows):
        energies = w.energies + 4 * r * w.padded
        symbol = choose(w, energies, w.chances, iload(w.seeds + 8 * r), w.position + step)
        if symbol < 0:
            istore(w.broken, 1)
            symbol = nb.intp(0)
        at = step * w.room + r
        istore(w.symbols + 8 * r, symbol)
        istore(w.chosen + 8 * at, symbol)
        if w.log_probabilities or w.distributions:
            told = w.log_probabilities + 4 * at if w.log_probabilities else nb.intp(0)
            spread = w.distributions + 4 * at * w.K if w.distributions else nb.intp(0)
            tell(w, energies, w.chances, symbol, told, spread)
