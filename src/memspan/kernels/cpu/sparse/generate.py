"""Writes the module that computes open units only of one cell: tiles, pointwise rows, the template."""

from __future__ import annotations

from memspan.kernels.cpu.generate import header, lines, template
from memspan.kernels.cpu.spec import Spec

AHEAD = 2  # openings between a record that forward writes and the one whose lines it asks for


def sparse_text(spec: Spec) -> str:
    """Return the source of one cell's sparse module."""
    wide, s = (4, 2, 1) if spec.lanes == 16 else (2, 1), spec.slots
    columns = (5, *wide) if spec.lanes == 16 else wide  # 64 or 128 units, ones and inputs leave none over
    tiles = {f"weight_{v}": f"weight_tile({s}, {v})" for v in columns}
    for v in wide:
        tiles[f"unit_{v}"] = f"unit_tile({s}, {spec.from_h}, {spec.from_x}, {v})"
        tiles[f"input_{v}"] = f"state_tile(1, {v}, {s}, {s}, {s})"
        for rows in (4, 1):
            tiles[f"state_{rows}_{v}"] = f"state_tile({rows}, {v}, {spec.from_h}, {spec.from_h}, {s})"
    return "\n\n\n".join([
        header(
            spec, "sparse.jobs", "state_tile, unit_tile, weight_tile", "sparse.tiles", ("forward", "backward")
        )
        + f"\nKEPT, BLOCKS_OF_ROWS = {kept(spec)}, {len(set(spec.gate))}",
        "\n".join(f"{name} = {tile}" for name, tile in tiles.items()),
        _across("product_units", "who, count, panel, lp, s, ls, H, D, z, size", wide, UNITS),
        _across(
            "product_weights",
            "who, count, dz, lz, size, flat, lf, rows, dw, lu, lw, ahead, last, lines",
            columns,
            WEIGHTS,
        ),
        _across(
            "product_states",
            "who, count, panel, lp, step, H, dz, lz, dh, ls, ahead, last, lines",
            wide,
            STATES,
        ),
        _across("product_inputs", "who, count, panel, lp, step, D, dz, lz, dx, ls", wide, INPUTS),
        _forward(spec),
        _backward(spec),
        _dots(len(set(spec.gate))),
        _stream(spec),
        template("sparse/schedule", "sparse/lanes", "sparse/forward", "sparse/backward", "sparse/stream"),
    ])  # fmt: skip


def kept(spec: Spec) -> int:
    """Return the vectors of a cell's own that an opening keeps: without the carried states where it can."""
    return spec.saved - len(spec.carried) if spec.again else spec.saved + 1


# What a product does with one block of vectors; openings and rows are walked here: a step costs one call.
# Those of the walk backward ask meanwhile for memory from ahead to last, a few lines after every tile.
UNITS = """\
for i in range(count):
    unit_{v}(panel + iload(who + 8 * i) * lp, s + at, ls, H, D, z + i * size + at, ls)
"""
WEIGHTS = """\
for i in range(count):
    weight_{v}(dz + i * size, lz, flat + at, lf, rows, dw + iload(who + 8 * i) * lu + at, lw)
    ahead = ask_for_lines(ahead, last, lines, 64)
"""
STATES = """\
k = nb.intp(0)
while k + 4 <= H:
    state_4_{v}(who, count, panel + k * step, lp, dz + at, lz, dh + k * ls + at, ls)
    ahead = ask_for_lines(ahead, last, lines, 64)
    k += 4
while k < H:
    state_1_{v}(who, count, panel + k * step, lp, dz + at, lz, dh + k * ls + at, ls)
    k += 1
"""
INPUTS = """\
for k in range(D):
    input_{v}(who, count, panel + k * step, lp, dz + at, lz, dx + k * ls + at, ls)
"""


def _across(name: str, arguments: str, wide: tuple[int, ...], body: str) -> str:
    """A function that walks ``used`` bytes of every row in the widest blocks that fit."""
    text = f"@linked\ndef {name}(used, {arguments}):\n    at = nb.intp(0)\n    while at < used:\n"
    for v in wide:
        head = f"if used - at >= {v} * VB:" if v > 1 else "if True:"
        block = [
            head,
            *("    " + line for line in body.format(v=v).splitlines()),
            f"    at += {v} * VB",
            "    continue",
        ]
        text += lines(8, block)
    return text


def _own(spec: Spec) -> str:
    values = "".join(f"vset(fload(j.own + 4 * ({i} * j.units + unit))), " for i in range(spec.own))
    return f", ({values})" if spec.own else ""


def _rows(base: str, count: int) -> str:
    return "(" + "".join(f"vload({base} + {i} * ls), " for i in range(count)) + ")"


def _carried(spec: Spec, base: str) -> str:
    parts = range(len(spec.carried))
    return "(" + "".join(f"vload({base} + ({i} * j.H + unit) * ls + at), " for i in parts) + ")"


def _forward(spec: Spec) -> str:
    states = range(len(spec.carried))
    keep = [f"saved[{i}]" for i in range(spec.saved) if not (spec.again and i in spec.carried)]
    keep += [] if spec.again else ["value"]
    keep += ["before", *(f"carried[{i}]" for i in states)]
    record = [f"vstore(record + {i} * ls + at, {what})" for i, what in enumerate(keep)]
    record += [f"prefetch_to_write(record + {AHEAD} * j.le + {i} * ls + at)" for i in range(len(keep))]
    # A row past its end still has the input of its last step in its lane: 0 times what follows may be NaN.
    blends = ["vstore(j.s + unit * ls + at, where_live(live, k * value + rest * before, before))"]
    for i in states:
        blend = f"k * saved[{spec.carried[i]}] + rest * carried[{i}]"
        blends.append(f"vstore(j.c + ({i} * j.H + unit) * ls + at, where_live(live, {blend}, carried[{i}]))")
    return f"""@linked
def open_forward(j, used, unit, opening, z, record):
    ls = j.ls
    for at in range(0, used, VB):
        live = vload(j.live + at)
        k = opening * live
        rest = F(1.0) - k
        before, carried = vload(j.s + unit * ls + at), {_carried(spec, "j.c")}
        value, saved = cell_forward({_rows("z + at", spec.slots)}, before, carried{_own(spec)})
        if record:
{lines(12, record)}{lines(8, blends)}"""


def _saved(spec: Spec) -> str:
    """What forward saved, in the cell's order; candidates of carried states are computed once more."""
    if not spec.again:
        return f"saved, value = {_rows('record + at', spec.saved)}, vload(record + {spec.saved} * ls + at)"
    places = iter(range(spec.saved))
    parts = [
        "before" if i in spec.carried else f"vload(record + {next(places)} * ls + at)"
        for i in range(spec.saved)
    ]
    return f"saved = ({''.join(f'{part}, ' for part in parts)})"


def _backward(spec: Spec) -> str:
    states = range(len(spec.carried))
    body = [
        f"before = vload(record + {kept(spec)} * ls + at)",
        f"carried = {_rows(f'record + {kept(spec) + 1} * ls + at', len(spec.carried))}",
        _saved(spec),
    ]
    if spec.again:
        parts = (
            f"made[{spec.carried.index(i)}]" if i in spec.carried else f"saved[{i}]"
            for i in range(spec.saved)
        )
        body += ["value, made = cell_again(saved, before, carried)"]
        body += [f"saved = ({''.join(f'{part}, ' for part in parts)})"]
    terms = ["above * (value - before)"]
    terms += [f"parts[{i}] * (saved[{spec.carried[i]}] - carried[{i}])" for i in states]
    made = "g, direct, back" + (", own" if spec.own else "")
    onward = f"rest * above{' + direct' if spec.direct else ''}"
    body += [
        f"above, parts = vload(j.dh + unit * ls + at), {_carried(spec, 'j.dc')}",
        "live = vload(j.live + at)",
        "k = opening * live",
        "rest = F(1.0) - k",
        f"total = total + where_live(live, {' + '.join(terms)}, zero)",
        f"reaching = ({''.join(f'k * parts[{i}], ' for i in states)})",
        f"{made} = cell_backward(saved, carried, before, value, k * above, reaching{_own(spec)})",
        *(f"vstore(dz + {i} * ls + at, where_live(live, g[{i}], zero))" for i in range(spec.slots)),
        f"vstore(j.dh + unit * ls + at, where_live(live, {onward}, above))",
        *(
            f"vstore(j.dc + ({i} * j.H + unit) * ls + at,"
            f" where_live(live, rest * parts[{i}] + back[{i}], parts[{i}]))"
            for i in states
        ),
        *(f"own_{i} = own_{i} + where_live(live, own[{i}], zero)" for i in range(spec.own)),
    ]
    sums = ["zero", "total", *(f"own_{i}" for i in range(spec.own))]
    ends = []
    for i in range(spec.own):
        ends += [f"to = j.own_sum + 4 * ({i} * j.units + unit)", f"fstore(to, fload(to) + vsum(own_{i}))"]
    return f"""@linked
def open_backward(j, used, unit, opening, dz, record):
    ls = j.ls
{lines(4, [f"{name} = vset(F(0.0))" for name in sums])}    for at in range(0, used, VB):
{lines(8, body)}{lines(4, ends)}    return vsum(total)"""


def _dots(blocks: int) -> str:
    """Products of one vector of states with the rows of a unit, one a block of the stacked weights."""
    sums = [f"a{g} = b{g} = vset(F(0.0))" for g in range(blocks)]
    body = [f"a{g} = multiply_add(vload(w + {g} * stride + k), x, a{g})" for g in range(blocks)]
    more = [f"b{g} = multiply_add(vload(w + {g} * stride + k + VB), y, b{g})" for g in range(blocks)]
    tail = [f"t{g} += fload(w + {g} * stride + k) * value" for g in range(blocks)]
    return f"""@linked
def dots(w, stride, h, H, z, size):
    end, k = 4 * H, nb.intp(0)
{lines(4, sums)}    while k + 2 * VB <= end:
        x, y = vload(h + k), vload(h + k + VB)
{lines(8, body + more)}        k += 2 * VB
    while k + VB <= end:
        x = vload(h + k)
{lines(8, body)}        k += VB
{lines(4, [f"t{g} = vsum(a{g} + b{g})" for g in range(blocks)])}    while k < end:
        value = fload(h + k)
{lines(8, tail)}        k += 4
{lines(4, [f"fstore(z + {g} * size, t{g})" for g in range(blocks)])}"""


def _stream(spec: Spec) -> str:
    """The pointwise part of open units that lie beside each other."""
    blocks, states = len(set(spec.gate)), range(len(spec.carried))
    slots = []
    for slot, g in enumerate(spec.gate):
        parts = [f"vload(z + {g} * size)"] if slot < spec.from_h else []
        parts += [f"vload(z + {blocks + g} * size)"] if slot >= spec.slots - spec.from_x else []
        slots.append(" + ".join(parts))
    z, carried = (
        "".join(f"{part}, " for part in parts)
        for parts in (slots, [f"vload(c + {i + 1} * size)" for i in states])
    )
    own = "".join(f"vload(j.s + {i} * size + at), " for i in range(spec.own))
    blends = [
        f"vstore(c + {i + 1} * size, k * saved[{spec.carried[i]}] + rest * carried[{i}])" for i in states
    ]
    return f"""@linked
def stream_pointwise(j, n):
    size = 4 * j.units
    for at in range(0, 4 * n, VB):
        z, c, k = j.z + at, j.c + at, vload(j.opening + at)
        rest = F(1.0) - k
        before, carried = vload(c), ({carried})
        value, saved = cell_forward(({z}), before, carried{f", ({own})" if spec.own else ""})
        vstore(c, k * value + rest * before)
{lines(8, blends)}"""
