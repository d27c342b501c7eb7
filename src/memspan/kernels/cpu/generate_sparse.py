"""Writes the module of one cell under a sparse time gate, then the template ``sparse.py``."""

from __future__ import annotations

from pathlib import Path

from memspan.kernels.cpu.generate import MARK, NJIT, dispatch, header, lines
from memspan.kernels.cpu.spec import Spec


def sparse_text(spec: Spec) -> str:
    """Return the source of one cell's sparse module."""
    template = (Path(__file__).parent / "sparse.py").read_text(encoding="utf-8").split(MARK, 1)[1]
    wide, s = (4, 2, 1) if spec.lanes == 16 else (2, 1), spec.slots
    unit = {v: f"unit_tile({s}, {spec.from_h}, {v})" for v in wide}
    weight = {v: f"weight_tile({s}, {v})" for v in wide}
    x = {v: f"state_tile(1, {v}, {s}, {s}, {s})" for v in wide}
    state = {
        f"{rows}_{v}": f"state_tile({rows}, {v}, {spec.from_h}, {spec.from_h}, {s})"
        for rows in (4, 1)
        for v in wide
    }
    return "\n\n\n".join([
        header(spec, "sparse_jobs", "state_tile, unit_tile, weight_tile", "sparse_tiles")
        + f"\nKEPT = {kept(spec)}",
        dispatch("unit_rows", "w, s, ls, H, D, z, lz", unit),
        dispatch("weight_rows", "dz, lz, b, lb, count, c, lc", weight),
        dispatch("input_rows", "who, count, w, lp, dz, lz, c, lc", x),
        "\n".join(f"state_rows_{name} = {tile}" for name, tile in state.items()),
        _state_rows(wide),
        _forward(spec),
        _backward(spec),
        template,
    ])  # fmt: skip


def kept(spec: Spec) -> int:
    """Return the vectors of a cell's own that an opening keeps: without the carried states where it can."""
    return spec.saved - len(spec.carried) if spec.again else spec.saved + 1


def _state_rows(wide: tuple[int, ...]) -> str:
    arguments = "who, count, w, lp, dz, lz, c, lc"
    tests = "".join(
        f"    if rows >= {rows} and left >= {v}:\n"
        f"        state_rows_{rows}_{v}({arguments})\n"
        f"        return nb.intp({rows}), nb.intp({v})\n"
        for rows in (4, 1)
        for v in wide
    )
    return f"{NJIT}def state_rows(rows, left, {arguments}):\n{tests}    return nb.intp(1), nb.intp(1)"


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
    blends = ["vstore(j.s + unit * ls + at, k * value + rest * before)"]
    blends += [
        f"vstore(j.c + ({i} * j.H + unit) * ls + at, k * saved[{spec.carried[i]}] + rest * carried[{i}])"
        for i in states
    ]
    return f"""{NJIT}def open_forward(j, used, unit, opening, z, record):
    ls = j.ls
    for at in range(0, used, VB):
        k = opening * vload(j.live + at)
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
    body += [
        f"above, parts = vload(j.dh + unit * ls + at), {_carried(spec, 'j.dc')}",
        "live = vload(j.live + at)",
        "k = opening * live",
        "rest = F(1.0) - k",
        f"total = total + live * ({' + '.join(terms)})",
        f"reaching = ({''.join(f'k * parts[{i}], ' for i in states)})",
        f"{made} = cell_backward(saved, carried, before, value, k * above, reaching{_own(spec)})",
        *(f"vstore(dz + {i} * ls + at, g[{i}])" for i in range(spec.slots)),
        f"vstore(j.dh + unit * ls + at, rest * above{' + direct' if spec.direct else ''})",
        *(f"vstore(j.dc + ({i} * j.H + unit) * ls + at, rest * parts[{i}] + back[{i}])" for i in states),
        *(f"own_{i} = own_{i} + own[{i}]" for i in range(spec.own)),
    ]
    sums = ["total", *(f"own_{i}" for i in range(spec.own))]
    ends = []
    for i in range(spec.own):
        ends += [f"to = j.own_sum + 4 * ({i} * j.units + unit)", f"fstore(to, fload(to) + vsum(own_{i}))"]
    return f"""{NJIT}def open_backward(j, used, unit, opening, dz, record):
    ls = j.ls
{lines(4, [f"{name} = vset(F(0.0))" for name in sums])}    for at in range(0, used, VB):
{lines(8, body)}{lines(4, ends)}    return vsum(total)"""
