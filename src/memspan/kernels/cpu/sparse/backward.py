"""The template's walk backward through open units; ``lanes.py`` says what the buffers hold."""

# ruff: noqa: F403, F405
# mypy: ignore-errors

from __future__ import annotations

import numba as nb

from memspan.kernels.cpu.floats import add_floats, copy_floats, sum_floats, zero_floats
from memspan.kernels.cpu.sparse.forward import forward_steps
from memspan.kernels.cpu.sparse.lanes import (
    border_of,
    enter_flat,
    live_rows,
    load_state,
    mark_live,
    pack_replica,
    row_of,
    to_lane,
    write_last,
)
from memspan.kernels.cpu.sparse.stencil import *
from memspan.linked import entry, linked
from memspan.simd import *

# ---- the generated module continues from here ----


@linked
def load_gradient(j):
    """Start the gradients of the last states."""
    H, ls = j.H, j.ls
    zero_floats(j.dh, (H + 1 + j.D) * ls // 4)
    zero_floats(j.dc, (STATES - 1) * H * ls // 4)
    for r in range(j.rows):
        at = 4 * row_of(j, r) * H
        if j.d_last:
            to_lane(j.dh + 4 * r, ls, j.d_last + at, H)
        if j.d_carried:
            for part in range(STATES - 1):
                to_lane(j.dc + part * H * ls + 4 * r, ls, j.d_carried + at + part * j.state_part, H)
    if j.d_outputs or j.d_states:
        zero_floats(j.above, STATES * j.rows * H)


@linked
def load_flat(j, last):
    """Start the flat rows with the last h, which lies in lanes, and the ones."""
    zero_floats(j.flat, j.rows * j.lf // 4)
    for r in range(j.rows):
        for k in range(j.H):
            fstore(j.flat + r * j.lf + 4 * k, fload(last + k * j.ls + 4 * r))
        fstore(j.flat + r * j.lf + 4 * j.H, F(1.0))


@linked
def gather_above(j, n, t):
    """Add the gradients of the outputs of step t to those that wait for their unit to open."""
    H = j.H
    for r in range(n):
        at = 4 * (t * j.B + row_of(j, r)) * H
        if j.d_outputs:
            add_floats(j.above + 4 * r * H, j.d_outputs + at, H)
        if j.d_states:
            for part in range(STATES - 1):
                here = j.above + 4 * ((part + 1) * j.rows + r) * H
                add_floats(here, j.d_states + 4 * part * j.T * j.B * H + at, H)


@linked
def take_above(j, unit):
    """Move what waits for a unit into the lanes."""
    H = j.H
    for r in range(j.rows):
        for part in range(STATES):
            source = j.above + 4 * ((part * j.rows + r) * H + unit)
            to = j.dh + unit * j.ls if part == 0 else j.dc + ((part - 1) * H + unit) * j.ls
            fstore(to + 4 * r, fload(to + 4 * r) + fload(source))
            fstore(source, F(0.0))


@linked
def close_step(j, n, used, e, end, base):
    """Pointwise derivatives of one step's openings, and the flat states as they were before it."""
    waits = j.d_outputs or j.d_states
    for i in range(e, end):
        unit, record = iload(j.who + 8 * i), j.saved + (i - base) * j.le
        if waits:
            take_above(j, unit)
        dz = j.z + (i - e) * SLOTS * j.ls
        fstore(j.d_opening + 4 * i, open_backward(j, used, unit, fload(j.opening + 4 * i), dz, record))
        before = record + KEPT * j.ls
        for r in range(n):
            fstore(j.flat + r * j.lf + 4 * unit, fload(before + 4 * r))


@linked
def back_to_weights(j, n, e, end, ahead, last):
    """dW += dz · [h | 1 | x], the rows of open units only; asks for the memory from ahead to last."""
    who, count, size = j.who + 8 * e, end - e, SLOTS * j.ls
    dw, lu, lines = j.dw, SLOTS * j.lw, (last - ahead) // (64 * count) + 1
    product_weights(j.lw, who, count, j.z, j.ls, size, j.flat, j.lf, n, dw, lu, j.lw, ahead, last, lines)


@linked
def back_to_states(j, used, e, end, ahead, last):
    """dh += dz · W over open units, and the same for the input where its gradient is wanted; asks as well."""
    H, ls, who, count = j.H, j.ls, j.who + 8 * e, end - e
    lines = (last - ahead) // (16 * H) + 1
    product_states(used, who, count, j.panel, j.lp, 4 * FROM_H, H, j.z, ls, j.dh, ls, ahead, last, lines)
    if j.dx:
        to = j.dh + (H + 1) * ls
        zero_floats(to, j.D * ls // 4)
        panel = j.panel + 4 * (FROM_H * H + SLOTS)
        product_inputs(used, who, count, panel, j.lp, 4 * SLOTS, j.D, j.z, ls, to, ls)


@linked
def write_dx(j, n, t):
    """Turn the input's gradient into batch rows."""
    for r in range(n):
        to = j.dx + 4 * (t * j.B + row_of(j, r)) * j.D
        for d in range(j.D):
            fstore(to + 4 * d, fload(j.dh + (j.H + 1 + d) * j.ls + 4 * r))


@linked
def backward_steps(j, t0, t1):
    """Steps t1 down to t0 of one unit of work; each asks for the records that the next one reads."""
    base = iload(j.ends + 8 * t0)
    n, used = nb.intp(-1), nb.intp(0)
    for t in range(t1 - 1, t0 - 1, -1):
        e, end = iload(j.ends + 8 * t), iload(j.ends + 8 * (t + 1))
        now = live_rows(j, t)
        if now != n:
            n, used = now, mark_live(j, now)
        if j.d_outputs or j.d_states:
            gather_above(j, n, t)
        if end > e:
            close_step(j, n, used, e, end, base)
            last = j.saved + (e - base) * j.le
            ahead = j.saved + (iload(j.ends + 8 * max(t - 1, t0)) - base) * j.le
            if j.dw:
                middle = (ahead + last) // 2
                enter_flat(j, n, t)
                back_to_weights(j, n, e, end, ahead, middle)
                ahead = middle
            back_to_states(j, used, e, end, ahead, last)
            if j.dx:
                write_dx(j, n, t)


@linked
def backward_unit(j):
    """All steps of one unit of work backward; chunks whose openings were not kept run forward again first."""
    load_gradient(j)
    if j.dw:
        zero_floats(j.dw, j.H * SLOTS * j.lw // 4)
    zero_floats(j.own_sum, OWN * j.units)
    if j.border:
        load_state(j)
    longest, size = iload(j.length), j.H * j.ls
    t1 = longest
    while t1 > 0:
        t0 = (t1 - 1) // j.chunk * j.chunk
        if j.border:
            copy_floats(j.s, border_of(j, t0), size // 4)
            copy_floats(j.c, border_of(j, t0) + size, (STATES - 1) * size // 4)
            forward_steps(j, t0, t1, nb.intp(0))
        if t1 == longest:
            load_flat(j, j.s if j.border else j.saved + iload(j.ends + 8 * j.T) * j.le)
        backward_steps(j, t0, t1)
        t1 = t0
    if j.d_state:
        if j.d_outputs or j.d_states:
            for unit in range(j.H):
                take_above(j, unit)
        write_last(j, j.d_state, j.dh, j.dc)


@entry(ENTRY)
def backward(jobs, first, last):
    """Run the units first … last − 1 backward; units of one replica share their packed weights."""
    flush_denormals(jobs[first].modes)
    packed = nb.intp(-1)
    for u in range(first, last):
        j = jobs[u]
        packed = pack_replica(j, packed)
        backward_unit(j)
    restore_modes(jobs[first].modes)


@linked
def sum_clocks(j, first):
    """Turn the gradients of one tile's openings into those of periods, shifts and open ratios."""
    if first:
        for k in range(3 * j.H):
            dstore(j.d_clocks + 8 * k, 0.0)
    steps = iload(j.length)
    for e in range(iload(j.ends + 8 * steps)):
        unit, dk = iload(j.who + 8 * e), float(fload(j.d_opening + 4 * e))
        for part in range(3):
            to = j.d_clocks + 8 * (part * j.H + unit)
            dstore(to, dload(to) + dk * dload(j.slope + 8 * (3 * e + part)))


@entry(ENTRY)
def gather(jobs, first, last):
    """Sum the tiles' gradients in the order of the tiles, into torch's layout."""
    packed = -1
    for u in range(first, last):
        j = jobs[u]
        H, D, new = j.H, j.D, j.replica != packed
        packed = j.replica
        for slot in range(SLOTS):
            for unit in range(H):
                row, source = GATE[slot] * H + unit, j.dw + (unit * SLOTS + slot) * j.lw
                if slot < FROM_H:
                    sum_floats(new, j.d_weight_hh + 4 * row * H, source, H)
                    if j.d_bias_hh:
                        sum_floats(new, j.d_bias_hh + 4 * row, source + 4 * H, nb.intp(1))
                if slot >= SLOTS - FROM_X:
                    if j.d_bias_ih:
                        sum_floats(new, j.d_bias_ih + 4 * row, source + 4 * H, nb.intp(1))
                    sum_floats(new, j.d_weight_ih + 4 * row * D, source + 4 * (H + 1), D)
        for part in range(OWN):
            sum_floats(new, j.d_own + 4 * part * H, j.own_sum + 4 * part * j.units, H)
        sum_clocks(j, new)
