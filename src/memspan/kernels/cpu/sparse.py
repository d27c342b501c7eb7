"""The template of the sparse time gate: forward and backward walks that compute open units only.

A generated module (``generate.py``) defines the cell's constants and register tiles and continues with
everything below the mark. Batch rows lie in the lanes and units are rows, so an open unit is a few whole rows
of weights and nothing is gathered; what is closed is not touched.

Buffers of a unit of work, (replica, tile of batch rows); a row holds ``lanes`` floats:
    s       H + 1 + D rows: the states h, ones, the input of the step
    c       H rows a carried state
    z, dz   SLOTS rows an open unit
    saved   for every opening: KEPT rows of the cell, then h and the carried states before it; at the end H
            rows with the last h. In chunks, those of one chunk only, made again from the states at its border
    flat    batch rows × [h | 1 | x], the other way round, for outputs and for dW = dz · [h | 1 | x]

The schedule of a replica: ``ends[t]`` openings lie before step t; opening e is of unit ``who[e]`` and has the
openness ``opening[e]`` and three derivatives ``slope[3 e …]`` by period, shift and open ratio.
"""

# ruff: noqa: F403, F405
# mypy: ignore-errors

from __future__ import annotations

import numba as nb

from memspan.kernels.cpu.floats import add_floats, copy_floats, sum_floats, zero_floats
from memspan.kernels.cpu.sparse_stencil import *
from memspan.linked import entry, linked
from memspan.simd import *

# ---- the generated module continues from here ----


@linked
def schedule_step(j, time, e):
    """Write the openings of a step from e on; return where they end."""
    units, width, zero = j.units, 8 * LANES, dvset(0.0)
    for q in range(0, j.H, LANES):
        at = j.clocks + 8 * q
        period, ratio = dvload(at), dvload(at + 16 * units)
        distance = time - dvload(at + 8 * units)
        phi = phase(distance, period, dvload(at + 32 * units))
        bits = less_bits(phi, ratio)
        if q + LANES > j.H:
            bits &= (1 << (j.H - q)) - 1
        if bits == 0:
            continue
        dvstore(j.lane, openness(phi, ratio, zero))
        if j.slope:
            by = slopes(phi, distance, period, ratio, zero)
            dvstore(j.lane + width, by[0])
            dvstore(j.lane + 2 * width, by[1])
            dvstore(j.lane + 3 * width, by[2])
        while bits:
            lane = lowest_bit(bits)
            bits &= bits - 1
            istore(j.who + 8 * e, q + lane)
            fstore(j.opening + 4 * e, F(dload(j.lane + 8 * lane)))
            if j.slope:
                for part in range(3):
                    dstore(j.slope + 8 * (3 * e + part), dload(j.lane + (part + 1) * width + 8 * lane))
            e += 1
    return e


@entry(ENTRY)
def schedule(jobs, first, last):
    """Find the openings of the replicas first … last − 1."""
    for u in range(first, last):
        j = jobs[u]
        e = nb.intp(0)
        for t in range(j.T):
            istore(j.ends + 8 * t, e)
            e = schedule_step(j, dload(j.times + 8 * t), e)
        istore(j.ends + 8 * j.T, e)


@linked
def to_lane(target, ls, source, H):
    """Turn a batch row of H floats into one lane of H rows."""
    for k in range(H):
        fstore(target + k * ls, fload(source + 4 * k))


@linked
def row_of(j, r):
    """Return which row of the batch the r-th of this unit of work is."""
    return iload(j.order + 8 * r)


@linked
def live_rows(j, t):
    """Return how many rows are longer than t; the longest come first."""
    n = j.rows
    while n > 0 and iload(j.length + 8 * (n - 1)) <= t:
        n -= 1
    return n


@linked
def mark_live(j, n):
    """Write 1 into the lanes of n live rows, 0 into the others. Return the bytes of the vectors in use."""
    for r in range(j.ls // 4):
        fstore(j.live + 4 * r, F(1.0) if r < n else F(0.0))
    return (n + LANES - 1) // LANES * VB


@linked
def pack_units(j):
    """Lay the weights out by unit: [unit][k < H][slots from h], then [unit][1 | x][slots]."""
    H, D = j.H, j.D
    part = FROM_H * H
    for unit in range(H):
        at = j.panel + unit * j.lp
        for slot in range(FROM_H):
            source = j.weight_hh + 4 * (GATE[slot] * H + unit) * H
            for k in range(H):
                fstore(at + 4 * (k * FROM_H + slot), fload(source + 4 * k))
        at += 4 * part
        for slot in range(SLOTS):
            row = GATE[slot] * H + unit
            bias = F(0.0)
            if j.bias_hh and slot < FROM_H:
                bias += fload(j.bias_hh + 4 * row)
            if j.bias_ih and slot >= SLOTS - FROM_X:
                bias += fload(j.bias_ih + 4 * row)
            fstore(at + 4 * slot, bias)
            for d in range(D):
                weight = fload(j.weight_ih + 4 * (row * D + d)) if slot >= SLOTS - FROM_X else F(0.0)
                fstore(at + 4 * ((1 + d) * SLOTS + slot), weight)


@linked
def load_state(j):
    """Put the initial state into lanes, and into the flat rows where they are kept."""
    H, ls = j.H, j.ls
    zero_floats(j.s, (H + 1 + j.D) * ls // 4)
    zero_floats(j.c, (STATES - 1) * H * ls // 4)
    for r in range(ls // 4):
        fstore(j.s + H * ls + 4 * r, F(1.0))
    if j.state:
        for r in range(j.rows):
            source = j.state + 4 * row_of(j, r) * H
            to_lane(j.s + 4 * r, ls, source, H)
            for part in range(STATES - 1):
                at = j.c + part * H * ls + 4 * r
                to_lane(at, ls, source + (part + 1) * j.state_part, H)


@linked
def enter_lanes(j, n, t):
    """Write the input of n rows into the lanes."""
    D, at = j.D, j.s + (j.H + 1) * j.ls
    if j.symbols:
        zero_floats(at, D * j.ls // 4)
    for r in range(n):
        row = t * j.B + row_of(j, r)
        if j.symbols:
            fstore(at + iload(j.symbols + 8 * row) * j.ls + 4 * r, F(1.0))
        else:
            for d in range(D):
                fstore(at + d * j.ls + 4 * r, fload(j.x + 4 * (row * D + d)))


@linked
def enter_flat(j, n, t):
    """Write the input of n rows beside their flat states and the ones."""
    D = j.D
    for r in range(n):
        row, at = t * j.B + row_of(j, r), j.flat + r * j.lf + 4 * (j.H + 1)
        if j.symbols:
            zero_floats(at, D)
            fstore(at + 4 * iload(j.symbols + 8 * row), F(1.0))
        else:
            for d in range(D):
                fstore(at + 4 * d, fload(j.x + 4 * (row * D + d)))


@linked
def write_outputs(j, n, t):
    """Copy the flat states of n rows to where the caller wants them."""
    H = j.H
    for r in range(n):
        to = 4 * (t * j.B + row_of(j, r)) * H
        if j.outputs:
            copy_floats(j.outputs + to, j.flat + r * j.lf, H)
        if j.states:
            for part in range(STATES - 1):
                source = j.flat + ((part + 1) * j.rows + r) * j.lf
                copy_floats(j.states + 4 * part * j.T * j.B * H + to, source, H)


@linked
def flatten_unit(j, n, unit):
    """Copy a unit's new states into the flat rows."""
    for r in range(n):
        fstore(j.flat + r * j.lf + 4 * unit, fload(j.s + unit * j.ls + 4 * r))
        if j.states:
            for part in range(STATES - 1):
                at = j.c + (part * j.H + unit) * j.ls + 4 * r
                fstore(j.flat + ((part + 1) * j.rows + r) * j.lf + 4 * unit, fload(at))


@linked
def write_last(j, target, s, c):
    """Turn states in lanes into batch rows of a stacked (parts, R, B, H) tensor."""
    H, ls = j.H, j.ls
    for r in range(j.rows):
        at = target + 4 * row_of(j, r) * H
        for k in range(H):
            fstore(at + 4 * k, fload(s + k * ls + 4 * r))
            for part in range(STATES - 1):
                fstore(at + (part + 1) * j.state_part + 4 * k, fload(c + (part * H + k) * ls + 4 * r))


@linked
def open_step(j, used, e, end, base):
    """All openings of one step: their products first, as all read the old states, then the pointwise part."""
    size = SLOTS * j.ls
    product_units(used, j.who + 8 * e, end - e, j.panel, j.lp, j.s, j.ls, j.H, 1 + j.D, j.z, size)
    for i in range(e, end):
        record = j.saved + (i - base) * j.le if j.saved else nb.intp(0)
        open_forward(j, used, iload(j.who + 8 * i), fload(j.opening + 4 * i), j.z + (i - e) * size, record)


@linked
def forward_steps(j, t0, t1, flat):
    """Steps t0 to t1 of one unit of work, from the states in the lanes."""
    base = iload(j.ends + 8 * t0)
    n, used = nb.intp(-1), nb.intp(0)
    for t in range(t0, t1):
        e, end = iload(j.ends + 8 * t), iload(j.ends + 8 * (t + 1))
        now = live_rows(j, t)
        if now != n:
            n, used = now, mark_live(j, now)
        if end > e:
            enter_lanes(j, n, t)
            open_step(j, used, e, end, base)
        if flat:
            for i in range(e, end):
                flatten_unit(j, n, iload(j.who + 8 * i))
            write_outputs(j, n, t)


@linked
def border_of(j, t):
    """Return where the states before step t are kept, for the chunk that starts there."""
    return j.border + t // j.chunk * STATES * j.H * j.ls


@linked
def forward_unit(j):
    """All steps of one unit of work; states at the borders of chunks are kept where wanted."""
    load_state(j)
    flat, size = j.outputs or j.states, j.H * j.ls
    if flat:
        for unit in range(j.H):
            flatten_unit(j, j.rows, unit)
    longest, t0 = iload(j.length), nb.intp(0)
    while t0 < longest:
        t1 = min(t0 + j.chunk, longest)
        if j.border:
            copy_floats(border_of(j, t0), j.s, size // 4)
            copy_floats(border_of(j, t0) + size, j.c, (STATES - 1) * size // 4)
        forward_steps(j, t0, t1, flat)
        t0 = t1
    write_last(j, j.last, j.s, j.c)
    if j.saved:
        copy_floats(j.saved + iload(j.ends + 8 * j.T) * j.le, j.s, j.H * j.ls // 4)


@entry(ENTRY)
def forward(jobs, first, last):
    """Run the units first … last − 1 forward; units of one replica share their packed weights."""
    flush_denormals(jobs[first].modes)
    packed = -1
    for u in range(first, last):
        j = jobs[u]
        if j.replica != packed:
            pack_units(j)
            packed = j.replica
        forward_unit(j)
    restore_modes(jobs[first].modes)


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
def back_to_weights(j, n, e, end):
    """dW += dz · [h | 1 | x], the rows of open units only."""
    who, size = j.who + 8 * e, SLOTS * j.ls
    product_weights(j.lw, who, end - e, j.z, j.ls, size, j.flat, j.lf, n, j.dw, SLOTS * j.lw, j.lw)


@linked
def back_to_states(j, used, e, end):
    """dh += dz · W over open units, and the same for the input where its gradient is wanted."""
    H, ls, who, count = j.H, j.ls, j.who + 8 * e, end - e
    product_states(used, who, count, j.panel, j.lp, 4 * FROM_H, H, j.z, ls, j.dh, ls)
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
    """Steps t1 down to t0 of one unit of work."""
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
            if j.dw:
                enter_flat(j, n, t)
                back_to_weights(j, n, e, end)
            back_to_states(j, used, e, end)
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
    packed = -1
    for u in range(first, last):
        j = jobs[u]
        if j.replica != packed:
            pack_units(j)
            packed = j.replica
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


@linked
def stream_products(j, row, n):
    """The products of n open units of one row: whole rows of torch's weights times its states and input."""
    H, D, units = j.H, j.D, j.units
    size, source = 4 * units, j.x + 4 * row * D
    symbol = iload(j.symbols + 8 * row) if j.symbols else nb.intp(0)
    for i in range(n):
        unit = iload(j.who + 8 * i)
        dots(j.weight_hh + 4 * unit * H, 4 * H * H, j.flat, H, j.z + 4 * i, size)
        for g in range(BLOCKS_OF_ROWS):
            place, value = g * H + unit, F(0.0)
            if j.symbols:
                value = fload(j.weight_ih + 4 * (place * D + symbol))
            else:
                for d in range(D):
                    value += fload(j.weight_ih + 4 * (place * D + d)) * fload(source + 4 * d)
            if j.bias_ih:
                value += fload(j.bias_ih + 4 * place)
            fstore(j.z + (BLOCKS_OF_ROWS + g) * size + 4 * i, value)
            if j.bias_hh:
                at = j.z + g * size + 4 * i
                fstore(at, fload(at) + fload(j.bias_hh + 4 * place))


@linked
def stream_gather(j, n):
    """Copy the states and own parameters of n open units one beside the other."""
    size = 4 * j.units
    for i in range(n):
        unit = iload(j.who + 8 * i)
        fstore(j.c + 4 * i, fload(j.flat + 4 * unit))
        for part in range(STATES - 1):
            fstore(j.c + (part + 1) * size + 4 * i, fload(j.flat + (part + 1) * j.lf + 4 * unit))
        for part in range(OWN):
            fstore(j.s + part * size + 4 * i, fload(j.own + part * size + 4 * unit))


@linked
def stream_scatter(j, n):
    """Copy the new states of n open units back."""
    for i in range(n):
        unit = iload(j.who + 8 * i)
        for part in range(STATES):
            fstore(j.flat + part * j.lf + 4 * unit, fload(j.c + 4 * part * j.units + 4 * i))


@linked
def stream_row(j, r):
    """All steps of one row of the batch: units lie in the lanes, and only open ones are gathered there."""
    H, row = j.H, row_of(j, r)
    zero_floats(j.flat, STATES * j.lf // 4)
    if j.state:
        for part in range(STATES):
            copy_floats(j.flat + part * j.lf, j.state + part * j.state_part + 4 * row * H, H)
    for t in range(iload(j.length + 8 * r)):
        n = schedule_step(j, dload(j.times + 8 * t), nb.intp(0))
        if n > 0:
            stream_products(j, t * j.B + row, n)
            stream_gather(j, n)
            stream_pointwise(j, n)
            stream_scatter(j, n)
        to = 4 * (t * j.B + row) * H
        if j.outputs:
            copy_floats(j.outputs + to, j.flat, H)
        if j.states:
            for part in range(STATES - 1):
                copy_floats(j.states + 4 * part * j.T * j.B * H + to, j.flat + (part + 1) * j.lf, H)
    for part in range(STATES):
        copy_floats(j.last + part * j.state_part + 4 * row * H, j.flat + part * j.lf, H)


@entry(ENTRY)
def stream(jobs, first, last):
    """Run the units first … last − 1 forward row by row, with weights as they are: for few rows."""
    flush_denormals(jobs[first].modes)
    for u in range(first, last):
        j = jobs[u]
        zero_floats(j.z, 2 * BLOCKS_OF_ROWS * j.units)
        zero_floats(j.c, STATES * j.units)
        zero_floats(j.s, OWN * j.units)
        zero_floats(j.opening, j.units)
        for r in range(j.rows):
            stream_row(j, r)
    restore_modes(jobs[first].modes)
