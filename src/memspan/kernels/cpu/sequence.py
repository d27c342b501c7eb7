"""The template: one forward and one backward walk through time, for every cell.

A generated module (``generate.py``) defines the cell's constants and register tiles and continues with
everything below the mark. Here the names come from ``stencil``, so that this file reads as plain Python.

Buffers of a unit, one row of each per batch row:
    h       (chunk + 1) × rows × [h | 1 | x]: the input of step t beside the state before it
    record  (chunk + 1) × rows × [block of lanes][SAVED]: what backward needs; slot s + 1 belongs to step s
    dz      ring × rows × [slot][units]
"""

# ruff: noqa: F403, F405
# mypy: ignore-errors

from __future__ import annotations

import numba as nb

from memspan.kernels.cpu.floats import FAST, OPTIONS, add_floats, copy_floats, zero_floats
from memspan.kernels.cpu.stencil import *
from memspan.simd import *

# Numba compiles a function again for a literal argument, so first values that are passed on are nb.intp(0).

# ---- the generated module continues from here ----


@nb.njit(**OPTIONS)
def add_strided(target, source, stride, count):
    """Add count floats that lie a stride of bytes apart to those at target."""
    for k in range(count):
        fstore(target + 4 * k, fload(target + 4 * k) + fload(source + k * stride))


@nb.njit(**OPTIONS)
def units_of(H):
    """Return H rounded up to whole panels."""
    return (H + BLOCKS * LANES - 1) // (BLOCKS * LANES) * (BLOCKS * LANES)


@nb.njit(**OPTIONS)
def pack_gates(j, H, D):
    """Lay the weights out in panels for the forward product: [panel][k][slot][block][lane]."""
    width = BLOCKS * LANES
    target = j.panels
    for first in range(0, units_of(H), width):
        for part in range(2):
            count = H if part == 0 else D
            low = 0 if part == 0 else SLOTS - FROM_X
            high = FROM_H if part == 0 else SLOTS
            weight = j.weight_hh if part == 0 else j.weight_ih
            stride = 4 * (high - low) * width
            for slot in range(low, high):
                for lane in range(width):
                    to = target + 4 * ((slot - low) * width + lane)
                    if first + lane < H:
                        source = weight + 4 * (GATE[slot] * H + first + lane) * count
                        for k in range(count):
                            fstore(to + k * stride, fload(source + 4 * k))
                    else:
                        for k in range(count):
                            fstore(to + k * stride, F(0.0))
            target += stride * count


@nb.njit(**OPTIONS)
def pack_start(j, H):
    """Lay out where the forward product starts: the biases or, a row a symbol, the table.

    Whole vectors, not one nest of scalar loops: LLVM 22 compiled that wrongly for AMD's Zen 4.
    """
    width = BLOCKS * LANES
    at = j.start
    for v in range(max(1, j.V)):
        for first in range(0, units_of(H), width):
            valid = min(width, H - first)
            for slot in range(SLOTS):
                unit = GATE[slot] * H + first
                zero_floats(at, width)
                if j.bias_hh and slot < FROM_H:
                    add_floats(at, j.bias_hh + 4 * unit, valid)
                if slot >= SLOTS - FROM_X:
                    if j.bias_ih:
                        add_floats(at, j.bias_ih + 4 * unit, valid)
                    if j.V:
                        add_strided(at, j.weight_ih + 4 * (unit * j.V + v), 4 * j.V, valid)
                at += 4 * width


@nb.njit(**OPTIONS)
def live_rows(j, n, t):
    """Return how many of the first n rows are longer than t."""
    while n > 0 and iload(j.length + 8 * (n - 1)) <= t:
        n -= 1
    return n


@nb.njit(**OPTIONS)
def state_parts(j, row, part):
    """Return the address of one row's part of a stacked (parts, R, B, H) state."""
    return part * j.state_part + 4 * row * j.H


@nb.njit(**OPTIONS)
def scatter_carried(record, part, source, H):
    """Write a row of H floats into one carried part of a record row; the padding becomes zero."""
    for k in range(units_of(H)):
        at = record + 4 * ((k // LANES * SAVED + CARRIED[part]) * LANES + k % LANES)
        fstore(at, fload(source + 4 * k) if k < H else F(0.0))


@nb.njit(**OPTIONS)
def gather_carried(target, record, part, H):
    """Read one carried part of a record row as H floats."""
    for k in range(H):
        fstore(target + 4 * k, fload(record + 4 * ((k // LANES * SAVED + CARRIED[part]) * LANES + k % LANES)))


@nb.njit(**OPTIONS)
def load_state(j):
    """Put the initial state into the first slots."""
    for r in range(j.rows):
        zero_floats(j.h + r * j.lh, j.lh // 4)
        if j.state:
            row = iload(j.order + 8 * r)
            copy_floats(j.h + r * j.lh, j.state + state_parts(j, row, 0), j.H)
            for part in range(STATES - 1):
                scatter_carried(j.record + r * j.lr, part, j.state + state_parts(j, row, part + 1), j.H)
        elif STATES > 1:
            zero_floats(j.record + r * j.lr, j.lr // 4)


@nb.njit(**OPTIONS)
def restore_border(j, border):
    """Put a stored chunk border into the first slots: the whole rows h and record."""
    rows = j.rows
    copy_floats(j.h, border, rows * j.lh // 4)
    copy_floats(j.record, border + rows * j.lh, rows * j.lr // 4)


@nb.njit(**OPTIONS)
def store_border(j, slot, border):
    """Keep the state in a slot for the recomputation of the chunk that starts there."""
    rows = j.rows
    copy_floats(border, j.h + slot * rows * j.lh, rows * j.lh // 4)
    copy_floats(border + rows * j.lh, j.record + slot * rows * j.lr, rows * j.lr // 4)


@nb.njit(**OPTIONS)
def reset_rows(j, n, t, h, record, log):
    """Zero the state of the rows reset before step t; what was there goes to the log. Return its end."""
    for r in range(n):
        if bload(j.resets + t * j.B + iload(j.order + 8 * r)):
            copy_floats(log, h + r * j.lh, j.H)
            copy_floats(log + j.lh, record + r * j.lr, j.lr // 4)
            log += j.lh + j.lr
            zero_floats(h + r * j.lh, j.H)
            zero_floats(record + r * j.lr, j.lr // 4)
    return log


@nb.njit(**OPTIONS)
def undo_resets(j, n, t, h, record, log):
    """Put back what ``reset_rows`` zeroed, and cut the gradients there. Return the new end of the log."""
    for r in range(n - 1, -1, -1):
        if bload(j.resets + t * j.B + iload(j.order + 8 * r)):
            log -= j.lh + j.lr
            copy_floats(h + r * j.lh, log, j.H)
            copy_floats(record + r * j.lr, log + j.lh, j.lr // 4)
            zero_floats(j.dh + r * j.ld, j.ld // 4)
            for part in range(STATES - 1):
                zero_floats(j.ds + (part * j.rows + r) * j.ld, j.ld // 4)
    return log


@nb.njit(**OPTIONS)
def enter_step(j, n, t, h):
    """Write [1 | x] beside the state, and where each row's product starts."""
    for r in range(n):
        row = iload(j.order + 8 * r)
        at = h + r * j.lh + 4 * j.H
        fstore(at, F(1.0))
        if j.V:
            symbol = iload(j.symbols + 8 * (t * j.B + row))
            istore(j.starts + 8 * r, j.start + 4 * symbol * SLOTS * units_of(j.H))
        else:
            source = j.x + 4 * (t * j.B + row) * j.D
            if j.D == 1:
                fstore(at + 4, fload(source))
            else:
                copy_floats(at + 4, source, j.D)


@nb.njit(**OPTIONS)
def open_row(j, time, target):
    """Write the openness of every unit at a time."""
    units = units_of(j.H)
    for q in range(units // LANES):
        at = j.clocks + 8 * LANES * q
        period, ratio = dvload(at), dvload(at + 16 * units)
        phi = phase(time - dvload(at + 8 * units), period, dvload(at + 32 * units))
        vstore(target + q * VB, narrow(openness(phi, ratio, dvload(at + 24 * units))))


@nb.njit(**OPTIONS)
def open_step(j, n, t):
    """Write the openness at step t: one row for all, or one for each of n rows."""
    if j.lk == 0:
        open_row(j, dload(j.times + 8 * t), j.open)
    else:
        for r in range(n):
            open_row(j, dload(j.times + 8 * (t * j.B + iload(j.order + 8 * r))), j.open + r * j.lk)


@nb.njit(**OPTIONS)
def back_to_clock(j, time, source):
    """Add what one row of the gradient of k brings to periods, shifts and open ratios; leave it zero."""
    units = units_of(j.H)
    for q in range(units // LANES):
        at, to, dk = j.clocks + 8 * LANES * q, j.clock_sum + 8 * LANES * q, widen(vload(source + q * VB))
        period, ratio, leak = dvload(at), dvload(at + 16 * units), dvload(at + 24 * units)
        distance = time - dvload(at + 8 * units)
        made = slopes(phase(distance, period, dvload(at + 32 * units)), distance, period, ratio, leak)
        dvstore(to, dvload(to) + dk * made[0])
        dvstore(to + 8 * units, dvload(to + 8 * units) + dk * made[1])
        dvstore(to + 16 * units, dvload(to + 16 * units) + dk * made[2])
        vstore(source + q * VB, vset(F(0.0)))


@nb.njit(**OPTIONS)
def back_to_clocks(j, n, t):
    """Turn the gradients of k at step t into those of the clocks."""
    if j.lk == 0:
        back_to_clock(j, dload(j.times + 8 * t), j.d_open)
    else:
        for r in range(n):
            back_to_clock(j, dload(j.times + 8 * (t * j.B + iload(j.order + 8 * r))), j.d_open + r * j.lk)


@nb.njit(**OPTIONS)
def forward_step(j, n, h, new, past, record):
    """One step of n rows: the product of a register tile, then at once its pointwise part."""
    H, D, lh, lr = j.H, j.D, j.lh, j.lr
    width = BLOCKS * LANES
    panel = 4 * width * (H * FROM_H + D * FROM_X)
    for p in range(units_of(H) // width):
        w = j.panels + p * panel
        at, saved = 4 * p * width, 4 * p * width * SAVED
        r = 0
        while r < n:
            m = gate_rows(n - r, h + r * lh, lh, j.starts + 8 * r, 4 * p * width * SLOTS, w, H, D, j.z)
            i, k = r * lh + at, r * lr + saved
            pointwise_forward(j, m, at, j.z, h + i, new + i, past + k, record + k, j.open + r * j.lk)
            r += m


@nb.njit(**OPTIONS)
def write_outputs(j, n, t, new, record):
    """Copy the new states of n rows to where the caller wants them."""
    for r in range(n):
        to = 4 * (t * j.B + iload(j.order + 8 * r)) * j.H
        if j.outputs:
            copy_floats(j.outputs + to, new + r * j.lh, j.H)
        if j.states:
            for part in range(STATES - 1):
                gather_carried(j.states + part * j.T * j.B * j.H * 4 + to, record + r * j.lr, part, j.H)


@nb.njit(**OPTIONS)
def write_last(j, t0, t1):
    """Copy the last state of the rows that end in (t0, t1], and before the first step of the empty ones."""
    for r in range(j.rows):
        end = iload(j.length + 8 * r)
        if t0 < end <= t1 or (end == 0 and t0 == 0):
            row, slot = iload(j.order + 8 * r), (end - t0) * j.rows + r
            copy_floats(j.last + state_parts(j, row, 0), j.h + slot * j.lh, j.H)
            for part in range(STATES - 1):
                gather_carried(j.last + state_parts(j, row, part + 1), j.record + slot * j.lr, part, j.H)


@nb.njit(**OPTIONS)
def forward_chunk(j, t0, t1):
    """Steps t0 to t1 of one unit, from the state in slot 0."""
    step_h, step_r = j.rows * j.lh, j.rows * j.lr
    log = j.log + LOG_HEAD
    n = j.rows
    for t in range(t0, t1):
        n = live_rows(j, n, t)
        h = j.h + (t - t0) * step_h
        record = j.record + (t - t0) * step_r
        if j.resets:
            log = reset_rows(j, n, t, h, record, log)
        enter_step(j, n, t, h)
        if GATED:
            open_step(j, n, t)
        forward_step(j, n, h, h + step_h, record, record + step_r)
        if j.outputs or j.states:
            write_outputs(j, n, t, h + step_h, record + step_r)
    if j.resets:
        istore(j.log, log - j.log)


@nb.njit(**OPTIONS)
def forward_unit(j):
    """All steps of one unit, in chunks; borders are kept where wanted."""
    for r in range(j.rows):
        istore(j.starts + 8 * r, j.start)
    load_state(j)
    size = j.rows * (j.lh + j.lr)
    longest, t0 = iload(j.length), nb.intp(0)
    while True:
        t1 = min(t0 + j.chunk, longest)
        if j.border:
            store_border(j, 0, j.border + t0 // j.chunk * size)
        forward_chunk(j, t0, t1)
        write_last(j, t0, t1)
        if t1 == longest:
            break
        copy_floats(j.h, j.h + (t1 - t0) * j.rows * j.lh, j.rows * j.lh // 4)
        copy_floats(j.record, j.record + (t1 - t0) * j.rows * j.lr, j.rows * j.lr // 4)
        t0 = t1


@nb.njit(ENTRY, cache=True, **FAST)
def forward(jobs, first, last):
    """Run the units first … last − 1 forward; units of one replica share their packed weights."""
    flush_denormals(jobs[first].modes)
    packed = -1
    for u in range(first, last):
        j = jobs[u]
        if j.replica != packed:
            pack_gates(j, j.H, j.D)
            pack_start(j, j.H)
            packed = j.replica
        forward_unit(j)
    restore_modes(jobs[first].modes)


@nb.njit(**OPTIONS)
def pack_columns(target, weight, columns, low, high, H):
    """Lay W[gate rows, columns] out for products dz · W: [panel][slot, unit][lanes · 2]; padding is zero."""
    width, units = 2 * LANES, units_of(H)
    for first in range(0, columns, width):
        for slot in range(low, high):
            for unit in range(units):
                if unit >= H:
                    zero_floats(target, width)
                else:
                    source = weight + 4 * ((GATE[slot] * H + unit) * columns + first)
                    valid = min(width, columns - first)
                    copy_floats(target, source, valid)
                    zero_floats(target + 4 * valid, width - valid)
                target += 4 * width


@nb.njit(**OPTIONS)
def enter_rows(j, n, t):
    """Start the gradients of the rows whose last step is t. Return how many rows are live."""
    while n < j.rows and iload(j.length + 8 * n) > t:
        row = iload(j.order + 8 * n)
        zero_floats(j.dh + n * j.ld, j.ld // 4)
        for part in range(STATES - 1):
            zero_floats(j.ds + (part * j.rows + n) * j.ld, j.ld // 4)
        if j.d_last:
            copy_floats(j.dh + n * j.ld, j.d_last + state_parts(j, row, 0), j.H)
            for part in range(STATES - 1):
                at = j.ds + (part * j.rows + n) * j.ld
                copy_floats(at, j.d_last + state_parts(j, row, part + 1), j.H)
        n += 1
    return n


@nb.njit(**OPTIONS)
def add_from_above(j, n, t):
    """Add the gradients that the outputs and states of step t bring."""
    for r in range(n):
        at = 4 * (t * j.B + iload(j.order + 8 * r)) * j.H
        if j.d_outputs:
            add_floats(j.dh + r * j.ld, j.d_outputs + at, j.H)
        if j.d_states:
            for part in range(STATES - 1):
                here = j.ds + (part * j.rows + r) * j.ld
                add_floats(here, j.d_states + 4 * part * j.T * j.B * j.H + at, j.H)


@nb.njit(**OPTIONS)
def back_through_product(j, n, dz):
    """dh (+)= dz · W_hh, a slot at a time, so that its part of the panel stays in the first cache."""
    K, width = units_of(j.H), 2 * LANES
    for p in range((j.H + width - 1) // width):
        for slot in range(FROM_H):
            w = j.panels_h + 4 * (p * FROM_H + slot) * K * width
            r = 0
            while r < n:
                a, c = dz + r * j.lz + 4 * slot * K, j.dh + r * j.ld + 4 * p * width
                if DIRECT or slot > 0:
                    r += product_add_rows(n - r, a, j.lz, w, K, c, j.ld)
                else:
                    r += product_set_rows(n - r, a, j.lz, w, K, c, j.ld)


@nb.njit(**OPTIONS)
def back_to_input(j, n, t, dz):
    """dx = dz · W_ih, by way of a padded row buffer."""
    units, width, D = units_of(j.H), 2 * LANES, j.D
    K, first = FROM_X * units, 4 * (SLOTS - FROM_X) * units
    padded = (D + width - 1) // width * width
    for p in range(padded // width):
        w = j.panels_x + 4 * p * K * width
        r = 0
        while r < n:
            c = j.dx_row + 4 * (r * padded + p * width)
            r += product_set_rows(n - r, dz + r * j.lz + first, j.lz, w, K, c, 4 * padded)
    for r in range(n):
        row = iload(j.order + 8 * r)
        copy_floats(j.dx + 4 * (t * j.B + row) * D, j.dx_row + 4 * r * padded, D)


@nb.njit(**OPTIONS)
def back_to_table(j, n, t, dz):
    """Add each row's dz to the table row of its symbol."""
    size = j.lw // 4
    for r in range(n):
        symbol = iload(j.symbols + 8 * (t * j.B + iload(j.order + 8 * r)))
        add_floats(j.d_table + symbol * j.lw, dz + r * j.lz, size)


@nb.njit(**OPTIONS)
def back_to_weights(j, steps, h, dz, counts):
    """dW += dzᵀ [h | 1 | x] over the rows of several steps."""
    units, width, lh, lz = units_of(j.H), 2 * LANES, j.lh, j.lz
    sh, sz = j.rows * lh, j.rows * lz
    columns = 4 * ((j.H + width - 1) // width * width)
    for slot in range(FROM_H):
        for p in range(0, columns, 4 * width):
            r = 0
            while r < j.H:
                a, c = dz + 4 * (slot * units + r), j.dw + (slot * units + r) * j.ld + p
                r += gradient_rows(units - r, 4 * width, a, lz, sz, h + p, lh, sh, c, j.ld, counts, steps)
    r = 0
    while r < 1 + j.D:
        a, c = h + 4 * (j.H + r), j.dw_x + r * j.lw
        r += gradient_rows(1 + j.D - r, j.lw, a, lh, sh, dz, lz, sz, c, j.lw, counts, steps)


@nb.njit(**OPTIONS)
def backward_chunk(j, t0, t1, n):
    """Steps t1 down to t0 of one unit. Return how many rows are live at t0."""
    log = j.log
    if j.resets:
        log += iload(j.log)
    step_h, step_r, step_z = j.rows * j.lh, j.rows * j.lr, j.rows * j.lz
    free = j.ring
    for t in range(t1 - 1, t0 - 1, -1):
        h, record = j.h + (t - t0) * step_h, j.record + (t - t0) * step_r
        n = enter_rows(j, n, t)
        if j.d_outputs or j.d_states:
            add_from_above(j, n, t)
        free -= 1
        dz = j.dz + free * step_z
        istore(j.counts + 8 * free, n)
        if GATED:
            open_step(j, n, t)
        pointwise_backward(j, n, h, h + step_h, record, record + step_r, dz)
        if GATED:
            back_to_clocks(j, n, t)
        if t > 0 or j.d_state:
            back_through_product(j, n, dz)
        if j.dx:
            back_to_input(j, n, t, dz)
        if j.d_table:
            back_to_table(j, n, t, dz)
        if j.dw and (free == 0 or t == t0):
            back_to_weights(j, j.ring - free, h, dz, j.counts + 8 * free)
            free = j.ring
        elif free == 0:
            free = j.ring
        if j.resets:
            log = undo_resets(j, n, t, h, record, log)
    return n


@nb.njit(**OPTIONS)
def backward_unit(j):
    """All steps of one unit backward; chunks whose states were not kept are run forward again first."""
    units = units_of(j.H)
    if j.dw:
        zero_floats(j.dw, FROM_H * units * j.ld // 4)
        zero_floats(j.dw_x, (1 + j.D) * j.lw // 4)
    if j.d_table:
        zero_floats(j.d_table, j.V * j.lw // 4)
    if OWN:
        zero_floats(j.own_sum, OWN * units)
    if GATED:
        zero_floats(j.clock_sum, 6 * units)
        zero_floats(j.d_open, j.rows * units if j.lk else units)
    size = j.rows * (j.lh + j.lr)
    for r in range(j.rows):
        istore(j.starts + 8 * r, j.start)
    n, t1 = nb.intp(0), iload(j.length)
    while t1 > 0:
        t0 = (t1 - 1) // j.chunk * j.chunk
        if j.border:
            restore_border(j, j.border + t0 // j.chunk * size)
            forward_chunk(j, t0, t1)
        n = backward_chunk(j, t0, t1, n)
        t1 = t0
    if j.d_state:
        write_d_state(j, n)


@nb.njit(**OPTIONS)
def write_d_state(j, n):
    """Copy the gradient of the initial state; rows of length 0 pass theirs through."""
    n = enter_rows(j, n, nb.intp(-1))
    for r in range(n):
        row = iload(j.order + 8 * r)
        copy_floats(j.d_state + state_parts(j, row, 0), j.dh + r * j.ld, j.H)
        for part in range(STATES - 1):
            to = j.d_state + state_parts(j, row, part + 1)
            copy_floats(to, j.ds + (part * j.rows + r) * j.ld, j.H)


@nb.njit(ENTRY, cache=True, **FAST)
def backward(jobs, first, last):
    """Run the units first … last − 1 backward; units of one replica share their packed weights."""
    flush_denormals(jobs[first].modes)
    packed = -1
    for u in range(first, last):
        j = jobs[u]
        if j.replica != packed:
            pack_columns(j.panels_h, j.weight_hh, j.H, nb.intp(0), FROM_H, j.H)
            if j.dx:
                pack_columns(j.panels_x, j.weight_ih, j.D, SLOTS - FROM_X, SLOTS, j.H)
            if j.border:
                pack_gates(j, j.H, j.D)
                pack_start(j, j.H)
            packed = j.replica
        backward_unit(j)
    restore_modes(jobs[first].modes)


@nb.njit(**OPTIONS)
def sum_floats(first, target, source, count):
    """Copy the first tile's sum, add the others'."""
    if first:
        copy_floats(target, source, count)
    else:
        add_floats(target, source, count)


@nb.njit(**OPTIONS)
def add_column(first, target, stride, source, count):
    """Copy or add count contiguous floats into a column."""
    for k in range(count):
        value = fload(source + 4 * k)
        fstore(target + k * stride, value if first else fload(target + k * stride) + value)


@nb.njit(**OPTIONS)
def sum_clocks(first, target, source, H):
    """Copy or add the gradients of periods, shifts and open ratios."""
    for part in range(3):
        for k in range(H):
            value = dload(source + 8 * (part * units_of(H) + k))
            to = target + 8 * (part * H + k)
            dstore(to, value if first else dload(to) + value)


@nb.njit(ENTRY, cache=True, **FAST)
def gather(jobs, first, last):
    """Sum the tiles' weight gradients in the order of the tiles, into torch's layout."""
    packed = -1
    for u in range(first, last):
        j = jobs[u]
        H, units, new = j.H, units_of(j.H), j.replica != packed
        packed = j.replica
        for part in range(OWN):
            sum_floats(new, j.d_own + 4 * part * H, j.own_sum + 4 * part * units, H)
        if GATED:
            sum_clocks(new, j.d_clocks, j.clock_sum, H)
        for slot in range(SLOTS):
            row = GATE[slot] * H
            here = 4 * slot * units
            if slot < FROM_H:
                for unit in range(H):
                    source = j.dw + (slot * units + unit) * j.ld
                    sum_floats(new, j.d_weight_hh + 4 * (row + unit) * H, source, H)
                if j.d_bias_hh:
                    sum_floats(new, j.d_bias_hh + 4 * row, j.dw_x + here, H)
            if slot >= SLOTS - FROM_X:
                if j.d_bias_ih:
                    sum_floats(new, j.d_bias_ih + 4 * row, j.dw_x + here, H)
                columns = j.V + j.D
                table = j.d_table if j.V else j.dw_x + j.lw
                for d in range(columns):
                    to = j.d_weight_ih + 4 * (row * columns + d)
                    add_column(new, to, 4 * columns, table + d * j.lw + here, H)
