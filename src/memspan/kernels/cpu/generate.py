"""Writes the module of one cell: constants, tiles and pointwise rows, then the template ``sequence.py``."""

from __future__ import annotations

from pathlib import Path

from memspan.kernels.cpu.spec import Spec

MARK = "# ---- the generated module continues from here ----\n"
NJIT = "@nb.njit(**OPTIONS)\n"


def module_text(spec: Spec) -> str:
    """Return the source of one cell's kernel module."""
    template = (Path(__file__).parent / "sequence.py").read_text(encoding="utf-8").split(MARK, 1)[1]
    total = spec.slots * spec.blocks
    sizes = f"{total}, {spec.from_h * spec.blocks}, {spec.from_x * spec.blocks}"
    gate = {rows: f"gate_tile({rows}, {sizes})" for rows in spec.gate_rows}
    put = {rows: f"product_tile({rows}, 2, False)" for rows in spec.rows}
    add = {rows: f"product_tile({rows}, 2, True)" for rows in spec.rows}
    gradient = {rows: f"gradient_tile({rows}, {gradient_vectors(rows)})" for rows in spec.rows}
    parts = [
        _header(spec),
        _dispatch("gate_rows", "a, la, start, shift, w, H, D, z", gate),
        _dispatch("product_set_rows", "a, la, w, K, c, lc", put),
        _dispatch("product_add_rows", "a, la, w, K, c, lc", add),
        _instances("gradient_tile", gradient),
        _gradient_rows(spec),
        _pointwise_forward(spec),
        _pointwise_backward(spec),
        template,
    ]
    return "\n\n\n".join(parts)


def _header(spec: Spec) -> str:
    return f'''"""CPU kernel of {spec.variant}, generated; do not edit."""

import numba as nb

from memspan.kernels.cpu.jobs import jobs_type
from memspan.kernels.cpu.tiles import gate_tile, gradient_tile, product_tile
from memspan.simd import *
from {spec.room} import {spec.forward} as cell_forward, {spec.backward} as cell_backward

FAST = dict(nogil=True, boundscheck=False, error_model="numpy")
OPTIONS = dict(FAST, no_cpython_wrapper=True, no_cfunc_wrapper=True)
ENTRY = nb.void(jobs_type(), nb.intp, nb.intp)
SLOTS, FROM_H, FROM_X, BLOCKS = {spec.slots}, {spec.from_h}, {spec.from_x}, {spec.blocks}
GATE = {spec.gate}
SAVED, CARRIED, DIRECT = {spec.saved}, {spec.carried or (0,)}, {spec.direct}
STATES = {1 + len(spec.carried)}
VB = VECTOR_BYTES
LOG_HEAD = 64'''


def _dispatch(name: str, arguments: str, tiles: dict[int, str]) -> str:
    """A function that runs the largest tile that fits and returns how many rows that was."""
    tests = "".join(
        f"    if left >= {rows}:\n        {name}_{rows}({arguments})\n        return {rows}\n"
        for rows in tiles
    )
    return f"{_instances(name, tiles)}\n\n\n{NJIT}def {name}(left, {arguments}):\n{tests}    return 1"


def _instances(name: str, tiles: dict[int, str]) -> str:
    return "\n".join(f"{name}_{rows} = {tile}" for rows, tile in tiles.items())


def gradient_vectors(rows: int) -> int:
    """Return the vectors of a gradient tile: few rows take more, so that no sum waits on itself."""
    return 2 if rows > 2 else 4


def _gradient_rows(spec: Spec) -> str:
    """A function that walks the columns for the largest tile of rows that fits."""
    tests = "".join(
        f"    if left >= {rows}:\n"
        f"        for j in range(0, columns, {gradient_vectors(rows)} * VB):\n"
        f"            gradient_tile_{rows}(a, la, sa, b + j, lb, sb, c + j, lc, counts, steps)\n"
        f"        return {rows}\n"
        for rows in spec.rows
    )
    arguments = "left, columns, a, la, sa, b, lb, sb, c, lc, counts, steps"
    return f"{NJIT}def gradient_rows({arguments}):\n{tests}    return 1"


def _loads(base: str, indices: tuple[int, ...] | range) -> str:
    """A tuple of vectors at multiples of the vector size."""
    return "(" + "".join(f"vload({base} + {i} * VB), " for i in indices) + ")"


def _pointwise_forward(spec: Spec) -> str:
    slots = range(0, spec.slots * spec.blocks, spec.blocks)
    stores = "".join(f"            vstore(at + {i} * VB, saved[{i}])\n" for i in range(spec.saved))
    z = _loads("p", slots)
    carried = _loads("old", spec.carried)
    return f"""{NJIT}def pointwise_forward(rows, z, h, new, lh, past, record, lr):
    for r in range(rows):
        for q in range(BLOCKS):
            p = z + (r * SLOTS * BLOCKS + q) * VB
            old = past + r * lr + q * SAVED * VB
            at = record + r * lr + q * SAVED * VB
            row = r * lh + q * VB
            value, saved = cell_forward({z}, vload(h + row), {carried})
            vstore(new + row, value)
{stores}"""


def _pointwise_backward(spec: Spec) -> str:
    carried = range(len(spec.carried))
    past = _loads("old", spec.carried)
    above = "(" + "".join(f"vload(e + {i} * le), " for i in carried) + ")"
    stores = "".join(f"            vstore(p + {i} * 4 * units, g[{i}])\n" for i in range(spec.slots))
    stores += "            vstore(d, direct)\n" if spec.direct else ""
    stores += "".join(f"            vstore(e + {i} * le, back[{i}])\n" for i in carried)
    saved = _loads("at", range(spec.saved))
    arguments = "rows, units, h, new, lh, past, record, lr, dh, ld, ds, le, dz, lz"
    return f"""{NJIT}def pointwise_backward({arguments}):
    for r in range(rows):
        for q in range(units // LANES):
            at = record + r * lr + q * SAVED * VB
            old = past + r * lr + q * SAVED * VB
            row = r * lh + q * VB
            d = dh + r * ld + q * VB
            e = ds + r * ld + q * VB
            p = dz + r * lz + q * VB
            h_, new_, d_ = vload(h + row), vload(new + row), vload(d)
            g, direct, back = cell_backward({saved}, {past}, h_, new_, d_, {above})
{stores}"""
