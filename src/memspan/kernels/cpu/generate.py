"""Writes the two modules of a cell, forward and backward: constants, tiles, pointwise rows, the template."""

from __future__ import annotations

from pathlib import Path

from memspan.kernels.cpu.memory import LINE
from memspan.kernels.cpu.spec import Spec

MARK = "# ---- the generated module continues from here ----\n"


def template(*names: str) -> str:
    """Return what lies below the mark in the files of a template."""
    texts = [(Path(__file__).parent / f"{name}.py").read_text(encoding="utf-8") for name in names]
    return "".join(text.split(MARK, 1)[1] for text in texts)


def forward_text(spec: Spec) -> str:
    """Return the source of the module that walks forward with one cell."""
    total = spec.slots * spec.blocks
    sizes = f"{total}, {spec.from_h * spec.blocks}, {spec.from_x * spec.blocks}"
    gate = {rows: f"gate_tile({rows}, {sizes})" for rows in spec.gate_rows}
    return "\n\n\n".join([
        header(spec, "jobs", "gate_tile", "tiles", ("forward",)),
        dispatch("gate_rows", "a, la, start, shift, w, H, D, z", gate),
        _pointwise_forward(spec),
        template("sequence", "forward"),
    ])  # fmt: skip


def backward_text(spec: Spec) -> str:
    """Return the source of the module that walks backward with one cell."""
    put = {rows: f"product_tile({rows}, 2, False)" for rows in spec.rows}
    add = {rows: f"product_tile({rows}, 2, True)" for rows in spec.rows}
    gradient = {rows: f"gradient_tile({rows}, {gradient_vectors(rows)})" for rows in spec.rows}
    return "\n\n\n".join([
        header(spec, "jobs", "gradient_tile, product_tile", "tiles", ("backward",)),
        dispatch("product_set_rows", "a, la, w, K, c, lc", put),
        dispatch("product_add_rows", "a, la, w, K, c, lc", add),
        instances("gradient_tile", gradient),
        gradient_rows(spec.rows),
        _pointwise_backward(spec),
        template("sequence", "backward"),
    ])  # fmt: skip


def header(spec: Spec, jobs: str, tiles: str, where: str, walks: tuple[str, ...]) -> str:
    """Return the imports and constants of a module, with the register tiles it takes and from where."""
    halves = spec.made is not None and "forward" in walks
    names = {walk: getattr(spec, walk) for walk in walks if not (halves and walk == "forward")}
    names |= {"begin": "begin", "finish": "finish"} if halves else {}
    cell = ", ".join(f"{name} as cell_{walk}" for walk, name in names.items())
    return f'''"""CPU kernel of {spec.variant}, generated; do not edit."""

import numba as nb

from memspan.kernels.cpu.floats import (
    add_floats, ask_for_lines, copy_floats, pack_block, sum_floats, zero_floats,
)
from memspan.kernels.cpu.{jobs} import jobs_type
from memspan.kernels.cpu.{where} import {tiles}
from memspan.linked import entry, linked
from memspan.simd import *
from {spec.room} import {cell}
{_gate_imports(spec)}
ENTRY = nb.void(jobs_type(), nb.intp, nb.intp)
SLOTS, FROM_H, FROM_X, BLOCKS = {spec.slots}, {spec.from_h}, {spec.from_x}, {spec.blocks}
GATE = {spec.gate}
SAVED, CARRIED, STATES = {spec.record}, {spec.places or (0,)}, {1 + len(spec.carried)}
DIRECT, OWN, GATED = {spec.direct or spec.gated}, {spec.own}, {spec.gated}
VB = VECTOR_BYTES
LOG_HEAD = 64{_joined(spec) if halves else ""}'''


def _joined(spec: Spec) -> str:
    """A cell's forward, where the cell gives it in two halves."""
    made = list(spec.made or ())
    parts = (f"made[{made.index(k)}], " if k in made else f"saved[{k}], " for k in range(spec.saved))
    own = ", own" if spec.own else ""
    return f"""


@linked
def cell_forward(z, h, s{own}):
    saved = cell_begin(z, h, s{own})
    value, made = cell_finish(saved, h)
    return value, ({"".join(parts)})"""


def _gate_imports(spec: Spec) -> str:
    text = ""
    if spec.gated:
        text += "from memspan.cells.time_gate.cpu import openness, phase, slopes\n"
    if spec.gated and spec.again:
        text += f"from {spec.room} import again as cell_again\n"
    return text


def dispatch(name: str, arguments: str, tiles: dict[int, str]) -> str:
    """A function that runs the largest tile that fits and returns how many rows that was."""
    tests = "".join(
        f"    if left >= {rows}:\n        {name}_{rows}({arguments})\n        return {rows}\n"
        for rows in tiles
    )
    return f"{instances(name, tiles)}\n\n\n@linked\ndef {name}(left, {arguments}):\n{tests}    return 1"


def instances(name: str, tiles: dict[int, str]) -> str:
    """Return one line a tile that makes it, under its number of rows."""
    return "\n".join(f"{name}_{rows} = {tile}" for rows, tile in tiles.items())


def gradient_vectors(rows: int) -> int:
    """Return the vectors of a gradient tile: few rows take more, so that no sum waits on itself."""
    return 2 if rows > 2 else 4


def gradient_rows(tiles: tuple[int, ...]) -> str:
    """A function that walks the columns for the largest tile of rows that fits."""
    tests = "".join(
        f"    if left >= {rows}:\n"
        f"        for j in range(0, columns, {gradient_vectors(rows)} * VB):\n"
        f"            gradient_tile_{rows}(a, la, sa, b + j, lb, sb, c + j, lc, counts, steps)\n"
        f"        return {rows}\n"
        for rows in tiles
    )
    arguments = "left, columns, a, la, sa, b, lb, sb, c, lc, counts, steps"
    return f"@linked\ndef gradient_rows({arguments}):\n{tests}    return 1"


def _loads(base: str, indices: tuple[int, ...] | range) -> str:
    """A tuple of vectors at multiples of the vector size."""
    return "(" + "".join(f"vload({base} + {i} * VB), " for i in indices) + ")"


def _own(spec: Spec) -> str:
    """The last argument of a cell with parameters of its own."""
    return (
        ", (" + "".join(f"vload(j.own + {i} * 4 * units + unit), " for i in range(spec.own)) + ")"
        if spec.own
        else ""
    )


def lines(indent: int, text: list[str]) -> str:
    """Return indented lines."""
    return "".join(" " * indent + line + "\n" for line in text)


def _pointwise_forward(spec: Spec) -> str:
    slots = range(0, spec.slots * spec.blocks, spec.blocks)
    return f"""@linked
def pointwise_forward(j, rows, first, z, h, new, past, record, opening):
    lh, lr, lk, units = j.lh, j.lr, j.lk, units_of(j.H)
    for r in range(rows):
        for q in range(BLOCKS):
            p = z + (r * SLOTS * BLOCKS + q) * VB
            old = past + r * lr + q * SAVED * VB
            at = record + r * lr + q * SAVED * VB
            row, unit = r * lh + q * VB, first + q * VB
            before, carried = vload(h + row), {_loads("old", spec.places)}
            {_begun(spec)}({_loads("p", slots)}, before, carried{_own(spec)})
{lines(12, _stores(spec) + _RECORD_AHEAD)}

@linked
def pointwise_finish(j, rows, h, new, record):
{lines(4, _finished(spec))}"""


def _begun(spec: Spec) -> str:
    return "saved = cell_begin" if spec.twice else "value, saved = cell_forward"


def _finished(spec: Spec) -> list[str]:
    """Walk the rows of a panel once more, for what waits for what was begun."""
    if not spec.twice:
        return ["pass"]
    return [
        "lh, lr = j.lh, j.lr",
        "for r in range(rows):",
        "    for q in range(BLOCKS):",
        "        at, row = record + r * lr + q * SAVED * VB, r * lh + q * VB",
        f"        value, made = cell_finish({_loads('at', range(spec.saved))}, vload(h + row))",
        "        vstore(new + row, value)",
        *(f"        vstore(at + {part} * VB, made[{i}])" for i, part in enumerate(spec.made or ())),
    ]


_RECORD_AHEAD = [  # the record of the next tile, which the product meanwhile gives memory time to bring
    f"for line in range(0, SAVED * VB, {LINE}):",
    "    prefetch_to_write(at + rows * lr + line)",
]


def _stores(spec: Spec) -> list[str]:
    """Write the new h and the record; under a gate the states are blends of old and new."""
    if spec.twice:
        return _record(spec.saved)
    if not spec.gated:
        return ["vstore(new + row, value)", *_record(spec.saved)]
    blends = [
        "k = vload(opening + r * lk + unit)",
        "rest = F(1.0) - k",  # at k = 0 and k = 1 this keeps the bits of the old and of the new state
        "vstore(new + row, k * value + rest * before)",
        *_record(spec.saved),
    ]
    if spec.record > spec.saved:
        blends.append(f"vstore(at + {spec.saved} * VB, value)")
    return blends + [
        f"vstore(at + {place} * VB, k * saved[{part}] + rest * carried[{i}])"
        for i, (place, part) in enumerate(zip(spec.places, spec.carried, strict=True))
    ]


def _record(count: int) -> list[str]:
    return [f"vstore(at + {i} * VB, saved[{i}])" for i in range(count)]


def _pointwise_backward(spec: Spec) -> str:
    carried = range(len(spec.carried))
    above = "(" + "".join(f"vload(e + {i} * le), " for i in carried) + ")"
    return f"""@linked
def pointwise_backward(j, first, end, h, new, past, record, dz):
    units, lh, lr, ld, lz, lk = units_of(j.H), j.lh, j.lr, j.ld, j.lz, j.lk
    dh, ds, le = j.dh, j.ds, j.rows * j.ld
    for r in range(first, end):
        for q in range(units // LANES):
            at = record + r * lr + q * SAVED * VB
            old = past + r * lr + q * SAVED * VB
            row, unit = r * lh + q * VB, q * VB
            d, e, p = dh + r * ld + unit, ds + r * ld + unit, dz + r * lz + unit
            before, carried = vload(h + row), {_loads("old", spec.places)}
            saved, above, from_above = {_loads("at", range(spec.saved))}, vload(d), {above}
{lines(12, _candidates(spec) + _gradients(spec))}"""


def _candidates(spec: Spec) -> list[str]:
    return _blend_backward(spec) if spec.gated else ["value = vload(new + row)"]


def _blend_backward(spec: Spec) -> list[str]:
    """The gradient of k, and what reaches the candidates: k of what is above."""
    carried = range(len(spec.carried))
    lines = ["k = vload(j.open + r * lk + unit)", "rest = F(1.0) - k"]
    if spec.again:
        parts = (
            f"made[{spec.carried.index(i)}]" if i in spec.carried else f"saved[{i}]"
            for i in range(spec.saved)
        )
        lines += [
            "value, made = cell_again(saved, before, carried)",
            f"saved = ({''.join(f'{p}, ' for p in parts)})",
        ]
    else:
        lines.append(f"value = vload(at + {spec.saved} * VB)")
    terms = ["above * (value - before)"]
    terms += [f"from_above[{i}] * (saved[{spec.carried[i]}] - carried[{i}])" for i in carried]
    lines.append("to = j.d_open + r * lk + unit")
    lines.append(f"vstore(to, vload(to) + {' + '.join(terms)})")
    lines.append(
        f"kept, kept_parts = rest * above, ({''.join(f'rest * from_above[{i}], ' for i in carried)})"
    )
    lines.append(f"above, from_above = k * above, ({''.join(f'k * from_above[{i}], ' for i in carried)})")
    return lines


def _gradients(spec: Spec) -> list[str]:
    made = "g, direct, back" + (", own" if spec.own else "")
    lines = [f"{made} = cell_backward(saved, carried, before, value, above, from_above{_own(spec)})"]
    lines += [f"vstore(p + {i} * 4 * units, g[{i}])" for i in range(spec.slots)]
    if spec.gated:
        lines.append(f"vstore(d, kept{' + direct' if spec.direct else ''})")
    elif spec.direct:
        lines.append("vstore(d, direct)")
    for i in range(len(spec.carried)):
        lines.append(f"vstore(e + {i} * le, back[{i}]{f' + kept_parts[{i}]' if spec.gated else ''})")
    for i in range(spec.own):
        lines.append(f"to = j.own_sum + {i} * 4 * units + unit")
        lines.append(f"vstore(to, vload(to) + own[{i}])")
    return lines
