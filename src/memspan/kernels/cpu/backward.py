"""The template's walk backward; ``sequence.py`` says what the buffers hold."""

# ruff: noqa: F403, F405
# mypy: ignore-errors

from __future__ import annotations

import numba as nb

from memspan.kernels.cpu.floats import add_floats, ask_for_lines, copy_floats, sum_floats, zero_floats
from memspan.kernels.cpu.sequence import live_rows, open_step, state_parts, units_of
from memspan.kernels.cpu.stencil import *
from memspan.linked import entry, linked
from memspan.simd import *

# ---- the generated module continues from here ----


@linked
def reset_at(j, r, t):
    """Return whether the state of row r was reset before step t."""
    return bload(j.resets + t * j.B + iload(j.order + 8 * r))


@linked
def cut_at_resets(j, n, t):
    """Let no gradient pass a reset before step t."""
    for r in range(n):
        if reset_at(j, r, t):
            zero_floats(j.dh + r * j.ld, j.ld // 4)
            for part in range(STATES - 1):
                zero_floats(j.ds + (part * j.rows + r) * j.ld, j.ld // 4)


@linked
def enter_log(j, n, t, log):
    """Return where the log of the resets of n rows before step t begins, from where it ends."""
    for r in range(n):
        if reset_at(j, r, t):
            log -= j.lh + j.lr
    return log


@linked
def pointwise_step(j, n, later, t, h, past, record, dz, log):
    """Pointwise derivatives of step t, in runs of rows that lie together.

    What step t made of a row that was reset before step t + 1 is read from the log, where forward saved it: the
    buffers of forward stay as they are, so that backward may run again.

    Args:
        later: how many rows are live at step t + 1 of this chunk.
        log: where the resets before step t + 1 begin in the log.
    """
    first = nb.intp(0)
    while first < n:
        end, made, states = n, h + j.rows * j.lh, record
        if j.resets:
            end = first
            while end < later and not reset_at(j, end, t + 1):
                end += 1
            if end >= later:
                end = n
            elif end == first:  # a logged row, as if it were row r of buffers like the others
                made, states = log - first * j.lh, log + j.lh - first * j.lr
                log += j.lh + j.lr
                end += 1
        pointwise_backward(j, first, end, h, made, past, states, dz)
        first = end


@linked
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


@linked
def back_to_clocks(j, n, t):
    """Turn the gradients of k at step t into those of the clocks."""
    if j.lk == 0:
        back_to_clock(j, dload(j.times + 8 * t), j.d_open)
    else:
        for r in range(n):
            back_to_clock(j, dload(j.times + 8 * (t * j.B + iload(j.order + 8 * r))), j.d_open + r * j.lk)


@linked
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


@linked
def enter_rows(j, n, t):
    """Start the gradients of the rows whose last step is t. Return how many rows are live."""
    while n < j.rows and iload(j.length + 8 * n) > t:
        row = iload(j.order + 8 * n)
        zero_floats(j.dh + n * j.ld, j.ld // 4)
        for part in range(STATES - 1):
            zero_floats(j.ds + (part * j.rows + n) * j.ld, j.ld // 4)
        if j.d_last:
            copy_floats(j.dh + n * j.ld, j.d_last + state_parts(j, row, 0), j.H)
        if j.d_carried:
            for part in range(STATES - 1):
                at = j.ds + (part * j.rows + n) * j.ld
                copy_floats(at, j.d_carried + state_parts(j, row, part), j.H)
        n += 1
    return n


@linked
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


@linked
def back_through_product(j, n, dz, h, record):
    """dh (+)= dz · W_hh, a slot at a time, so that its part of the panel stays in the first cache.

    Memory has nothing to do meanwhile: every tile asks for its share of what the next step reads, h and the
    record there and the carried states of the step before it.
    """
    K, width = units_of(j.H), 2 * LANES
    panels = (j.H + width - 1) // width
    tiles, states = panels * FROM_H, record - j.rows * j.lr + CARRIED[0] * VB
    h_end, record_end, states_end = h + n * j.lh, record + n * j.lr, states + n * j.lr
    h_lines, record_lines = j.lh // (64 * tiles) + 1, j.lr // (64 * tiles) + 1
    for p in range(panels):
        for slot in range(FROM_H):
            w = j.panels_h + 4 * (p * FROM_H + slot) * K * width
            r = 0
            while r < n:
                a, c = dz + r * j.lz + 4 * slot * K, j.dh + r * j.ld + 4 * p * width
                if DIRECT or slot > 0:
                    m = product_add_rows(n - r, a, j.lz, w, K, c, j.ld)
                else:
                    m = product_set_rows(n - r, a, j.lz, w, K, c, j.ld)
                h = ask_for_lines(h, h_end, m * h_lines, 64)
                record = ask_for_lines(record, record_end, m * record_lines, 64)
                if STATES > 1:
                    states = ask_for_lines(states, states_end, m * h_lines, SAVED * VB)
                r += m


@linked
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


@linked
def back_to_table(j, n, t, dz):
    """Add each row's dz to the table row of its symbol."""
    size = j.lw // 4
    for r in range(n):
        symbol = iload(j.symbols + 8 * (t * j.B + iload(j.order + 8 * r)))
        add_floats(j.d_table + symbol * j.lw, dz + r * j.lz, size)


@linked
def back_to_weights_hh(j, steps, h, dz, counts):
    """dW += dzᵀ h over the rows of several steps."""
    units, width, lh, lz = units_of(j.H), 2 * LANES, j.lh, j.lz
    sh, sz = j.rows * lh, j.rows * lz
    columns = 4 * ((j.H + width - 1) // width * width)
    for slot in range(FROM_H):
        for p in range(0, columns, 4 * width):
            r = 0
            while r < j.H:
                a, c = dz + 4 * (slot * units + r), j.dw + (slot * units + r) * j.ld + p
                r += gradient_rows(units - r, 4 * width, a, lz, sz, h + p, lh, sh, c, j.ld, counts, steps)


@linked
def back_to_weights(j, steps, h, dz, counts, zero):
    """dW += dzᵀ [h | 1 | x] over the rows of several steps; ``zero``: the h of the first one is."""
    lh, lz = j.lh, j.lz
    sh, sz = j.rows * lh, j.rows * lz
    if zero:
        back_to_weights_hh(j, steps - 1, h + sh, dz + sz, counts + 8)
    else:
        back_to_weights_hh(j, steps, h, dz, counts)
    r = 0
    while r < 1 + j.D:
        a, c = h + 4 * (j.H + r), j.dw_x + r * j.lw
        r += gradient_rows(1 + j.D - r, j.lw, a, lh, sh, dz, lz, sz, c, j.lw, counts, steps)


@linked
def backward_chunk(j, t0, t1, n):
    """Steps t1 down to t0 of one unit. Return how many rows are live at t0."""
    log = j.log
    if j.resets:
        log += iload(j.log)
    step_h, step_r, step_z = j.rows * j.lh, j.rows * j.lr, j.rows * j.lz
    free, later = j.ring, nb.intp(0)
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
        pointwise_step(j, n, later, t, h, record, record + step_r, dz, log)
        if GATED:
            back_to_clocks(j, n, t)
        if t > 0 or j.d_state:
            back_through_product(j, n, dz, h - step_h, record)
        if j.dx:
            back_to_input(j, n, t, dz)
        if j.d_table:
            back_to_table(j, n, t, dz)
        if j.dw and (free == 0 or t == t0):
            back_to_weights(j, j.ring - free, h, dz, j.counts + 8 * free, t == 0 and j.state == 0)
            free = j.ring
        elif free == 0:
            free = j.ring
        later = n
        if j.resets:
            cut_at_resets(j, n, t)
            log = enter_log(j, n, t, log)
    return n


@linked
def start_sums(j):
    """Set the sums over steps to zero."""
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


@linked
def write_d_state(j, n):
    """Copy the gradient of the initial state; rows of length 0 pass theirs through."""
    n = enter_rows(j, n, nb.intp(-1))
    for r in range(n):
        row = iload(j.order + 8 * r)
        copy_floats(j.d_state + state_parts(j, row, 0), j.dh + r * j.ld, j.H)
        for part in range(STATES - 1):
            to = j.d_state + state_parts(j, row, part + 1)
            copy_floats(to, j.ds + (part * j.rows + r) * j.ld, j.H)


@linked
def backward_unit(j):
    """Steps t1 down to t0 of one unit; its sums start where no row goes on."""
    t1 = min(j.t1, iload(j.length))
    if j.t1 >= iload(j.length):
        start_sums(j)
    n = backward_chunk(j, j.t0, t1, live_rows(j, j.rows, t1))
    if j.t0 == 0 and j.d_state:
        write_d_state(j, n)


@entry(ENTRY)
def backward(jobs, first, last):
    """Run the units first … last − 1 backward; units of one replica share their packed weights."""
    flush_denormals(jobs[first].modes)
    for u in range(first, last):
        j = jobs[u]
        if j.fresh:
            pack_columns(j.panels_h, j.weight_hh, j.H, nb.intp(0), FROM_H, j.H)
            if j.dx:
                pack_columns(j.panels_x, j.weight_ih, j.D, SLOTS - FROM_X, SLOTS, j.H)
        backward_unit(j)
    restore_modes(jobs[first].modes)


@linked
def add_column(first, target, stride, source, count):
    """Copy or add count contiguous floats into a column."""
    for k in range(count):
        value = fload(source + 4 * k)
        fstore(target + k * stride, value if first else fload(target + k * stride) + value)


@linked
def sum_clocks(first, target, source, H):
    """Copy or add the gradients of periods, shifts and open ratios."""
    for part in range(3):
        for k in range(H):
            value = dload(source + 8 * (part * units_of(H) + k))
            to = target + 8 * (part * H + k)
            dstore(to, value if first else dload(to) + value)


@entry(ENTRY)
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
