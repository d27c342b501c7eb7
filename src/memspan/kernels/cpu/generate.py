"""Writes the module of one cell: its constants, its register tiles, then the template of ``sequence.py``.

A register tile keeps a small block of a product in vector registers while k runs. Its lines differ only in
the number of rows and vectors, so they are written here rather than by hand.
"""

from __future__ import annotations

from pathlib import Path

from memspan.kernels.cpu.spec import Spec

MARK = "# ---- the generated module continues from here ----\n"


def module_text(spec: Spec) -> str:
    """Return the source of one cell's kernel module."""
    template = (Path(__file__).parent / "sequence.py").read_text(encoding="utf-8").split(MARK, 1)[1]
    parts = [_header(spec)]
    parts += [_gate_tile(spec, rows) for rows in spec.gate_rows]
    parts += [_product_tile(rows, add) for rows in spec.rows for add in (False, True)]
    tall = [(rows, 2 if rows > 2 else 4) for rows in spec.rows]
    parts += [_gradient_tile(*shape) for shape in tall]
    parts += [_gate_dispatch(spec), _product_dispatch(spec), _gradient_dispatch(tall)]
    parts += [_pointwise_forward(spec), _pointwise_backward(spec)]
    return "\n\n".join(parts) + "\n\n" + template


def _header(spec: Spec) -> str:
    return f'''"""CPU kernel of {spec.variant}, generated; do not edit."""
import numba as nb
from memspan.kernels.cpu.jobs import jobs_type
from memspan.simd import *
from {spec.room} import {spec.forward} as cell_forward, {spec.backward} as cell_backward

OPTIONS = dict(nogil=True, boundscheck=False, error_model="numpy")
SLOTS, FROM_H, FROM_X, BLOCKS = {spec.slots}, {spec.from_h}, {spec.from_x}, {spec.blocks}
GATE = {spec.gate}
SAVED, CARRIED, DIRECT = {spec.saved}, {spec.carried or (0,)}, {spec.direct}
STATES = {1 + len(spec.carried)}
VB = VECTOR_BYTES
LOG_HEAD = 64
ENTRY = nb.void(jobs_type(), nb.intp, nb.intp)
'''


def _grid(rows: int, vectors: int) -> list[tuple[int, int]]:
    return [(r, v) for r in range(rows) for v in range(vectors)]


def _gate_tile(spec: Spec, rows: int) -> str:
    """z = start + [h | x] · panel, for a few rows and one panel of all slots."""
    b, total = spec.blocks, spec.slots * spec.blocks
    lines = ["@nb.njit(**OPTIONS)", f"def gate_tile_{rows}(a, la, start, shift, w, H, D, z):"]
    for r in range(rows):
        lines.append(f"    i = iload(start + {8 * r}) + shift")
        lines += [f"    z{r}_{v} = vload(i + {v} * VB)" for v in range(total)]
    recurrent = range(spec.from_h * b)
    inputs = range(total - spec.from_x * b, total)
    for count, vectors in (("H", recurrent), ("D", inputs)):
        lines += [f"    for _ in range({count}):"]
        lines += [f"        w{v} = vload(w + {n} * VB)" for n, v in enumerate(vectors)]
        for r in range(rows):
            lines.append(f"        s = vset(fload(a + {r} * la))")
            lines += [f"        z{r}_{v} = s * w{v} + z{r}_{v}" for v in vectors]
        lines += ["        a += 4", f"        w += {len(vectors)} * VB"]
        if count == "H":
            lines.append("    a += 4")
    lines += [f"    vstore(z + {r * total + v} * VB, z{r}_{v})" for r, v in _grid(rows, total)]
    return "\n".join(lines)


def _product_tile(rows: int, add: bool) -> str:
    """C (+)= A · panel, k contiguous in A; several sums a cell where one would wait on itself."""
    ways = max(1, 8 // (rows * 2))
    name = f"product_tile_{rows}_{'add' if add else 'set'}"
    lines = ["@nb.njit(**OPTIONS)", f"def {name}(a, la, w, K, c, lc):", "    zero = vset(F(0.0))"]
    for r, v in _grid(rows, 2):
        first = f"vload(c + {r} * lc + {v} * VB)" if add else "zero"
        lines += [f"    c{r}_{v}_{u} = {'zero' if u else first}" for u in range(ways)]
    lines.append(f"    for _ in range(K // {ways}):")
    for u in range(ways):
        lines += [f"        w{v} = vload(w + {2 * u + v} * VB)" for v in range(2)]
        for r in range(rows):
            lines.append(f"        s = vset(fload(a + {r} * la + {4 * u}))")
            lines += [f"        c{r}_{v}_{u} = s * w{v} + c{r}_{v}_{u}" for v in range(2)]
    lines += [f"        a += {4 * ways}", f"        w += {2 * ways} * VB"]
    for r, v in _grid(rows, 2):
        total = " + ".join(f"c{r}_{v}_{u}" for u in range(ways))
        lines.append(f"    vstore(c + {r} * lc + {v} * VB, {total})")
    return "\n".join(lines)


def _gradient_tile(rows: int, vectors: int) -> str:
    """C += Aᵀ · B summed over the rows of several steps; counts: live rows of each step."""
    lines = ["@nb.njit(**OPTIONS)"]
    lines += [f"def gradient_tile_{rows}(a, la, sa, b, lb, sb, c, lc, counts, steps):"]
    lines += [f"    c{r}_{v} = vload(c + {r} * lc + {v} * VB)" for r, v in _grid(rows, vectors)]
    lines += ["    for q in range(steps):", "        p = a + q * sa", "        w = b + q * sb"]
    lines += ["        for _ in range(iload(counts + 8 * q)):"]
    lines += [f"            w{v} = vload(w + {v} * VB)" for v in range(vectors)]
    for r in range(rows):
        lines.append(f"            s = vset(fload(p + {4 * r}))")
        lines += [f"            c{r}_{v} = s * w{v} + c{r}_{v}" for v in range(vectors)]
    lines += ["            p += la", "            w += lb"]
    lines += [f"    vstore(c + {r} * lc + {v} * VB, c{r}_{v})" for r, v in _grid(rows, vectors)]
    return "\n".join(lines)


def _dispatch(name: str, arguments: str, rows: tuple[int, ...], call: str) -> str:
    """A function that serves the largest tile that fits and returns how many rows that was."""
    lines = ["@nb.njit(**OPTIONS)", f"def {name}(left, {arguments}):"]
    for count in rows:
        lines += [f"    if left >= {count}:", f"        {call.format(rows=count)}", f"        return {count}"]
    return "\n".join([*lines, "    return 1"])


def _gate_dispatch(spec: Spec) -> str:
    arguments = "a, la, start, shift, w, H, D, z"
    return _dispatch("gate_rows", arguments, spec.gate_rows, f"gate_tile_{{rows}}({arguments})")


def _product_dispatch(spec: Spec) -> str:
    arguments = "a, la, w, K, c, lc"
    both = [
        _dispatch(
            f"product_{kind}_rows", arguments, spec.rows, f"product_tile_{{rows}}_{kind}({arguments})"
        )
        for kind in ("set", "add")
    ]
    return "\n\n".join(both)


def _gradient_dispatch(shapes: list[tuple[int, int]]) -> str:
    arguments = "a, la, sa, b, lb, sb, c, lc, counts, steps"
    lines = ["@nb.njit(**OPTIONS)", f"def gradient_rows(left, columns, {arguments}):"]
    for rows, vectors in shapes:
        call = f"gradient_tile_{rows}(a, la, sa, b + j, lb, sb, c + j, lc, counts, steps)"
        step = f"range(0, columns, {vectors} * VB)"
        lines += [f"    if left >= {rows}:", f"        for j in {step}:", f"            {call}"]
        lines += [f"        return {rows}"]
    return "\n".join([*lines, "    return 1"])


def _vectors(base: str, indices: list[int] | range) -> str:
    """A tuple of loads."""
    return "(" + "".join(f"vload({base} + {i} * VB), " for i in indices) + ")"


def _pointwise_forward(spec: Spec) -> str:
    slots = [s * spec.blocks for s in range(spec.slots)]
    lines = ["@nb.njit(**OPTIONS)", "def pointwise_forward(rows, z, h, new, lh, past, record, lr):"]
    lines += ["    for r in range(rows):", "        for q in range(BLOCKS):"]
    lines += ["            p = z + (r * SLOTS * BLOCKS + q) * VB"]
    lines += ["            old = past + r * lr + q * SAVED * VB"]
    lines += ["            row = r * lh + q * VB"]
    lines += [f"            z_ = {_vectors('p', slots)}", f"            s_ = {_vectors('old', list(spec.carried))}"]
    lines += ["            value, saved = cell_forward(z_, vload(h + row), s_)"]
    lines += ["            vstore(new + row, value)", "            at = record + r * lr + q * SAVED * VB"]
    lines += [f"            vstore(at + {i} * VB, saved[{i}])" for i in range(spec.saved)]
    return "\n".join(lines)


def _pointwise_backward(spec: Spec) -> str:
    extra = [f"vload(e + {i} * le)" for i in range(len(spec.carried))]
    lines = ["@nb.njit(**OPTIONS)"]
    lines += ["def pointwise_backward(rows, units, h, new, lh, past, record, lr, dh, ld, ds, ls, le, dz, lz):"]
    lines += ["    for r in range(rows):", "        for q in range(units // LANES):"]
    lines += ["            at = record + r * lr + q * SAVED * VB"]
    lines += ["            old = past + r * lr + q * SAVED * VB"]
    lines += ["            row = r * lh + q * VB", "            d = dh + r * ld + q * VB"]
    lines += ["            e = ds + r * ls + q * VB"]
    lines += [f"            saved = {_vectors('at', range(spec.saved))}"]
    lines += [f"            s_ = {_vectors('old', list(spec.carried))}"]
    lines += [f"            e_ = ({''.join(x + ', ' for x in extra)})"]
    lines += ["            g, direct, back = cell_backward(saved, s_, vload(h + row), vload(new + row), vload(d), e_)"]
    lines += ["            p = dz + r * lz + q * VB"]
    lines += [f"            vstore(p + {i} * 4 * units, g[{i}])" for i in range(spec.slots)]
    if spec.direct:
        lines += ["            vstore(d, direct)"]
    lines += [f"            vstore(e + {i} * le, back[{i}])" for i in range(len(spec.carried))]
    return "\n".join(lines)
