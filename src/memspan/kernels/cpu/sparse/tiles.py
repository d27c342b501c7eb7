"""Register tiles of the sparse time gate: batch rows in the lanes, a unit's weights spread over them."""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from memspan.kernels.cpu.tiles import Values, Writer, tile
from memspan.simd import VECTOR_BYTES
from memspan.simd.vectors import I64, VEC, splat

_ZERO = splat(VEC, 0.0)


def unit_tile(slots: int, recurrent: int, inputs: int, vectors: int) -> Any:
    """z = W_u · s for one unit u: H rows of s, then a row of ones, then D rows of the input.

    Args:
        slots: sums of a unit; all take the ones, whose weights are the biases.
        recurrent: its first so many take the H rows.
        inputs: its last so many take the D rows. The others must not: 0 times an infinite input is NaN.
        vectors: vectors of each.

    Returns:
        An intrinsic of (w, s, ls, H, D, z, lz).
    """

    def write(s: Writer, w: Any, a: Any, la: Any, H: Any, D: Any, z: Any, lz: Any) -> None:
        sums: Values = [_ZERO] * (slots * vectors)

        def row(now: Values, first: int, last: int, width: int) -> Values:
            """Add one row of s to the sums first … last − 1; width: weights that a row has."""
            *sums, w, a = now
            rows = s.vectors(a, vectors)
            for slot in range(first, last):
                weight = s.spread(w, 4 * slot)
                for v, part in enumerate(rows):
                    i = slot * vectors + v
                    sums[i] = s.multiply_add(weight, part, sums[i])
            return [*sums, s.at(w, 4 * width), s.b.add(a, la)]

        now = s.loop(H, [*sums, w, a], lambda now: row(now, 0, recurrent, recurrent))
        now = row(now, 0, slots, slots)
        *sums, w, a = s.loop(D, now, lambda now: row(now, slots - inputs, slots, slots))
        for slot, place in enumerate(s.rows(z, lz, slots)):
            for v in range(vectors):
                s.store(place, v * VECTOR_BYTES, sums[slot * vectors + v])

    return tile(7, write)


def weight_tile(slots: int, vectors: int) -> Any:
    """C += dz · rows: one unit's dz, lanes of batch rows, times those rows of [h | 1 | x].

    A tile of few sums keeps two copies of each, for even and odd rows, so that none waits on itself.

    Returns:
        An intrinsic of (dz, lz, b, lb, count, c, lc).
    """
    ways = 2 if slots * vectors < 8 else 1

    def write(s: Writer, a: Any, la: Any, b: Any, lb: Any, count: Any, c: Any, lc: Any) -> None:
        places, size = s.rows(c, lc, slots), slots * vectors
        sums = [x for place in places for x in s.vectors(place, vectors)] + [_ZERO] * (size * (ways - 1))

        def body(now: Values, ways: int = ways) -> Values:
            *sums, a, b = now
            for u in range(ways):
                row = s.vectors(b, vectors)
                for slot, place in enumerate(s.rows(a, la, slots)):
                    value = s.spread(place, 4 * u)
                    for v, x in enumerate(row):
                        i = u * size + slot * vectors + v
                        sums[i] = s.multiply_add(value, x, sums[i])
                b = s.b.add(b, lb)
            return [*sums, s.at(a, 4 * ways), b]

        pairs = s.b.ashr(count, ir.Constant(I64, ways - 1))
        *sums, a, b = s.loop(pairs, [*sums, a, b], body)
        if ways == 2:
            left = s.b.and_(count, ir.Constant(I64, 1))
            *sums, a, b = s.loop(left, [*sums, a, b], lambda now: body(now, 1))
            sums = [s.b.fadd(sums[i], sums[size + i]) for i in range(size)]
        for i, value in enumerate(sums):
            s.store(places[i // vectors], i % vectors * VECTOR_BYTES, value)

    return tile(7, write)


def state_tile(rows: int, vectors: int, used: int, width: int, slots: int) -> Any:
    """C += Wᵀ · dz over a list of open units, for a few rows of states.

    Args:
        rows: rows of C.
        vectors: vectors of each.
        used: slots that take part, of ``slots`` that a unit's dz has.
        width: slots beside each other in the weights.

    Returns:
        An intrinsic of (who, count, w, lp, dz, lz, c, lc).
    """

    def write(s: Writer, who: Any, count: Any, w: Any, lp: Any, dz: Any, lz: Any, c: Any, lc: Any) -> None:
        places = s.rows(c, lc, rows)
        sums = [x for place in places for x in s.vectors(place, vectors)]

        def body(now: Values) -> Values:
            *sums, who, dz = now
            base = s.b.add(w, s.b.mul(s.load(who, 0, I64), lp))
            for slot, place in enumerate(s.rows(dz, lz, slots)[:used]):
                parts = s.vectors(place, vectors)
                for r in range(rows):
                    weight = s.spread(base, 4 * (r * width + slot))
                    for v, part in enumerate(parts):
                        i = r * vectors + v
                        sums[i] = s.multiply_add(weight, part, sums[i])
            return [*sums, s.at(who, 8), s.b.add(dz, s.b.mul(lz, ir.Constant(I64, slots)))]

        *sums, who, dz = s.loop(count, [*sums, who, dz], body)
        for i, value in enumerate(sums):
            s.store(places[i // vectors], i % vectors * VECTOR_BYTES, value)

    return tile(8, write)
