"""Register tiles: small blocks of a product that stay in vector registers while k runs.

Each is a Numba intrinsic written for its number of rows and vectors; addresses and strides are in bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from memspan.simd import LANES, VECTOR_BYTES, ask_for_line
from memspan.simd.vectors import F32, I64, VEC, call_llvm, pointer_to, spread

Values = list[Any]
ROWS_AHEAD = 8  # how early a gradient's tile asks for rows that lie too far apart for the hardware to foresee


class Writer:
    """Writes the instructions of one tile."""

    def __init__(self, builder: Any) -> None:
        self.b = builder

    def at(self, address: Any, offset: int) -> Any:
        """Return address + offset."""
        return self.b.add(address, ir.Constant(I64, offset)) if offset else address

    def load(self, address: Any, offset: int, kind: Any) -> Any:
        """Load one value of a kind; only integers are aligned to their size."""
        align = 8 if kind is I64 else 4
        return self.b.load(pointer_to(self.b, self.at(address, offset), kind), align=align)

    def vectors(self, address: Any, count: int) -> Values:
        """Load vectors that lie one after the other."""
        return [self.load(address, v * VECTOR_BYTES, VEC) for v in range(count)]

    def store(self, address: Any, offset: int, value: Any) -> None:
        """Store one vector."""
        self.b.store(value, pointer_to(self.b, self.at(address, offset), VEC), align=4)

    def spread(self, address: Any, offset: int = 0) -> Any:
        """Load one float into every lane."""
        return spread(self.b, VEC, self.load(address, offset, F32))

    def multiply_add(self, a: Any, b: Any, c: Any) -> Any:
        """Return a · b + c, rounded once where the host can."""
        return call_llvm(self.b, f"llvm.fmuladd.v{LANES}f32", VEC, [a, b, c])

    def rows(self, address: Any, stride: Any, count: int) -> Values:
        """Return the addresses of rows."""
        out = [address]
        for _ in range(count - 1):
            out.append(self.b.add(out[-1], stride))
        return out

    def loop(self, count: Any, values: Values, body: Callable[[Values], Values]) -> Values:
        """Write ``for _ in range(count): values = body(values)``; return the values after it."""
        b, before = self.b, self.b.block
        head, inside, done = (b.append_basic_block(name) for name in ("head", "inside", "done"))
        b.branch(head)
        b.position_at_end(head)
        left = b.phi(I64)
        left.add_incoming(count, before)
        now = []
        for value in values:
            now.append(b.phi(value.type))
            now[-1].add_incoming(value, before)
        b.cbranch(b.icmp_signed(">", left, ir.Constant(I64, 0)), inside, done)
        b.position_at_end(inside)
        after = body(now)
        left.add_incoming(b.sub(left, ir.Constant(I64, 1)), b.block)
        for phi, value in zip(now, after, strict=True):
            phi.add_incoming(value, b.block)
        b.branch(head)
        b.position_at_end(done)
        return now


def tile(count: int, write: Callable[..., None], **options: Any) -> Any:
    """Return an intrinsic of so many integers whose code ``write`` gives."""

    def generate(context: Any, builder: Any, signature: Any, args: Sequence[Any]) -> Any:
        write(Writer(builder), *args, **options)
        return context.get_dummy_value()

    names = ", ".join(f"a{k}" for k in range(count))
    made: dict[str, Any] = {"result": (types.void(*[types.intp] * count), generate)}
    exec(f"def tile(typing, {names}): return result", made)
    return intrinsic(made["tile"])


def gate_tile(rows: int, total: int, recurrent: int, inputs: int) -> Any:
    """z = start + [h | 1 | x] · panel.

    Args:
        rows: rows of the tile.
        total: vectors a panel holds: every slot of a block of units.
        recurrent: its first so many take the recurrent product.
        inputs: its last so many take the input product.

    Returns:
        An intrinsic of (a, la, start, shift, w, H, D, z); start: addresses, one a row.
    """

    def write(s: Writer, a: Any, la: Any, start: Any, shift: Any, w: Any, H: Any, D: Any, z: Any) -> None:
        sums: Values = []
        for r in range(rows):
            sums += s.vectors(s.b.add(s.load(start, 8 * r, I64), shift), total)
        for count, first, vectors in ((H, 0, recurrent), (D, total - inputs, inputs)):

            def body(now: Values, first: int = first, vectors: int = vectors) -> Values:
                *sums, w, a = now
                weights = s.vectors(w, vectors)
                for r, row in enumerate(s.rows(a, la, rows)):
                    value = s.spread(row)
                    for v, weight in enumerate(weights):
                        i = r * total + first + v
                        sums[i] = s.multiply_add(value, weight, sums[i])
                return [*sums, s.at(w, vectors * VECTOR_BYTES), s.at(a, 4)]

            *sums, w, a = s.loop(count, [*sums, w, a], body)
            a = s.at(a, 4)
        for i, value in enumerate(sums):
            s.store(z, i * VECTOR_BYTES, value)

    return tile(8, write)


def product_tile(rows: int, vectors: int, add: bool) -> Any:
    """C = A · panel, or C += …; k contiguous in A.

    A tile of few sums keeps several copies of each, for different k, so that none waits on itself;
    K is a multiple of 8.

    Returns:
        An intrinsic of (a, la, w, K, c, lc).
    """
    ways = max(1, 8 // (rows * vectors))

    def write(s: Writer, a: Any, la: Any, w: Any, K: Any, c: Any, lc: Any) -> None:
        zero = ir.Constant(VEC, [0.0] * LANES)
        places = s.rows(c, lc, rows)
        sums = [x for place in places for x in (s.vectors(place, vectors) if add else [zero] * vectors)]
        size = len(sums)
        sums += [zero] * (size * (ways - 1))

        def body(now: Values) -> Values:
            *sums, w, a = now
            for u in range(ways):
                weights = s.vectors(s.at(w, u * vectors * VECTOR_BYTES), vectors)
                for r, row in enumerate(s.rows(a, la, rows)):
                    value = s.spread(row, 4 * u)
                    for v, weight in enumerate(weights):
                        i = u * size + r * vectors + v
                        sums[i] = s.multiply_add(value, weight, sums[i])
            return [*sums, s.at(w, ways * vectors * VECTOR_BYTES), s.at(a, 4 * ways)]

        count = s.b.sdiv(K, ir.Constant(I64, ways))
        *sums, w, a = s.loop(count, [*sums, w, a], body)
        for i in range(size):
            total = sums[i]
            for u in range(1, ways):
                total = s.b.fadd(total, sums[u * size + i])
            s.store(places[i // vectors], i % vectors * VECTOR_BYTES, total)

    return tile(6, write)


def gradient_tile(rows: int, vectors: int) -> Any:
    """C += Aᵀ · B, summed over the live rows of several steps.

    The rows of A a little later and the sums of the next tile are asked for ahead of time.

    Returns:
        An intrinsic of (a, la, sa, b, lb, sb, c, lc, counts, steps); sa, sb: from one step to the next.
    """

    def write(s: Writer, a: Any, la: Any, sa: Any, b: Any, lb: Any, sb: Any, c: Any, lc: Any,
              counts: Any, steps: Any) -> None:  # fmt: skip
        places = s.rows(c, lc, rows)
        sums = [x for place in places for x in s.vectors(place, vectors)]
        later, below = (s.b.mul(stride, ir.Constant(I64, n)) for stride, n in ((la, ROWS_AHEAD), (lc, rows)))
        for place in places:
            for v in range(vectors):
                ask_for_line(s.b, s.at(s.b.add(place, below), v * VECTOR_BYTES), write=False)

        def row(now: Values) -> Values:
            *sums, a, b = now
            weights = s.vectors(b, vectors)
            ask_for_line(s.b, s.b.add(a, later), write=False)
            for r in range(rows):
                value = s.spread(a, 4 * r)
                for v, weight in enumerate(weights):
                    sums[r * vectors + v] = s.multiply_add(value, weight, sums[r * vectors + v])
            return [*sums, s.b.add(a, la), s.b.add(b, lb)]

        def step(now: Values) -> Values:
            *sums, a, b, counts = now
            *sums, _, _ = s.loop(s.load(counts, 0, I64), [*sums, a, b], row)
            return [*sums, s.b.add(a, sa), s.b.add(b, sb), s.at(counts, 8)]

        *sums, a, b, counts = s.loop(steps, [*sums, a, b, counts], step)
        for i, value in enumerate(sums):
            s.store(places[i // vectors], i % vectors * VECTOR_BYTES, value)

    return tile(10, write)
