"""The template's walk forward; ``sequence.py`` says what the buffers hold."""

# ruff: noqa: F403, F405
# mypy: ignore-errors

from __future__ import annotations

import numba as nb

from memspan.kernels.cpu.floats import add_floats, copy_floats, pack_block, zero_floats
from memspan.kernels.cpu.sequence import live_rows, open_step, state_parts, units_of
from memspan.kernels.cpu.stencil import *
from memspan.linked import entry, linked
from memspan.simd import *

# ---- the generated module continues from here ----


@linked
def add_strided(target, source, stride, count):
    """Add count floats that lie a stride of bytes apart to those at target."""
    for k in range(count):
        fstore(target + 4 * k, fload(target + 4 * k) + fload(source + k * stride))


@linked
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
                for block in range(0, width, LANES):
                    source = weight + 4 * (GATE[slot] * H + first + block) * count
                    to = target + 4 * ((slot - low) * width + block)
                    pack_block(to, stride, source, count, min(LANES, H - first - block))
            target += stride * count


@linked
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


@linked
def scatter_carried(record, part, source, H):
    """Write a row of H floats into one carried part of a record row; the padding becomes zero."""
    for k in range(units_of(H)):
        at = record + 4 * ((k // LANES * SAVED + CARRIED[part]) * LANES + k % LANES)
        fstore(at, fload(source + 4 * k) if k < H else F(0.0))


@linked
def gather_carried(target, record, part, H):
    """Read one carried part of a record row as H floats."""
    for k in range(H):
        fstore(target + 4 * k, fload(record + 4 * ((k // LANES * SAVED + CARRIED[part]) * LANES + k % LANES)))


@linked
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


@linked
def restore_border(j, border):
    """Put a stored chunk border into the first slots: the whole rows h and record."""
    rows = j.rows
    copy_floats(j.h, border, rows * j.lh // 4)
    copy_floats(j.record, border + rows * j.lh, rows * j.lr // 4)


@linked
def store_border(j, border):
    """Keep the state in the first slots for the recomputation of the chunk that starts there."""
    rows = j.rows
    copy_floats(border, j.h, rows * j.lh // 4)
    copy_floats(border + rows * j.lh, j.record, rows * j.lr // 4)


@linked
def reset_rows(j, n, t, h, record, log):
    """Zero the state of the rows reset before step t; what was there goes to the log. Return its end."""
    for r in range(n):
        if bload(j.resets + t * j.B + iload(j.order + 8 * r)):
            copy_floats(log, h + r * j.lh, j.H)
            zero_floats(log + 4 * j.H, j.lh // 4 - j.H)
            copy_floats(log + j.lh, record + r * j.lr, j.lr // 4)
            log += j.lh + j.lr
            zero_floats(h + r * j.lh, j.H)
            zero_floats(record + r * j.lr, j.lr // 4)
    return log


@linked
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


@linked
def forward_step(j, n, h, new, past, record, zero):
    """One step of n rows: the product of a register tile, then at once its pointwise part or its beginning.

    Args:
        zero: whether h is zero, so that its product need not be computed.
    """
    H, D, lh, lr = j.H, j.D, j.lh, j.lr
    width, skipped = BLOCKS * LANES, H if zero else nb.intp(0)
    panel = 4 * width * (H * FROM_H + D * FROM_X)
    for p in range(units_of(H) // width):
        w = j.panels + p * panel + 4 * width * FROM_H * skipped
        at, saved, start = 4 * p * width, 4 * p * width * SAVED, 4 * p * width * SLOTS
        r = 0
        while r < n:
            a = h + r * lh + 4 * skipped
            m = gate_rows(n - r, a, lh, j.starts + 8 * r, start, w, H - skipped, D, j.z)
            i, k = r * lh + at, r * lr + saved
            pointwise_forward(j, m, at, j.z, h + i, new + i, past + k, record + k, j.open + r * j.lk)
            r += m
        pointwise_finish(j, n, h + at, new + at, record + saved)


@linked
def write_outputs(j, n, t, new, record):
    """Copy the new states of n rows to where the caller wants them."""
    for r in range(n):
        to = 4 * (t * j.B + iload(j.order + 8 * r)) * j.H
        if j.outputs:
            copy_floats(j.outputs + to, new + r * j.lh, j.H)
        if j.states:
            for part in range(STATES - 1):
                gather_carried(j.states + part * j.T * j.B * j.H * 4 + to, record + r * j.lr, part, j.H)


@linked
def write_last(j, t0, t1):
    """Copy the last state of the rows that end in (t0, t1], and before the first step of the empty ones."""
    for r in range(j.rows):
        end = iload(j.length + 8 * r)
        if t0 < end <= t1 or (end == 0 and t0 == 0):
            row, slot = iload(j.order + 8 * r), (end - t0) * j.rows + r
            copy_floats(j.last + state_parts(j, row, 0), j.h + slot * j.lh, j.H)
            for part in range(STATES - 1):
                gather_carried(j.last + state_parts(j, row, part + 1), j.record + slot * j.lr, part, j.H)


@linked
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
        forward_step(j, n, h, h + step_h, record, record + step_r, t == 0 and j.state == 0)
        if j.outputs or j.states:
            write_outputs(j, n, t, h + step_h, record + step_r)
    if j.resets:
        istore(j.log, log - j.log)


@linked
def forward_unit(j):
    """Steps t0 to t1 of one unit, in chunks; borders are kept where wanted, or one is where it starts."""
    for r in range(j.rows):
        istore(j.starts + 8 * r, j.start)
    size = j.rows * (j.lh + j.lr)
    t0, end = j.t0, min(j.t1, iload(j.length))
    if j.again:
        restore_border(j, j.border + t0 // j.chunk * size)
    else:
        load_state(j)
    while True:
        t1 = min(t0 + j.chunk, end)
        if j.border and not j.again:
            store_border(j, j.border + t0 // j.chunk * size)
        forward_chunk(j, t0, t1)
        if j.last:
            write_last(j, t0, t1)
        if t1 == end:
            break
        copy_floats(j.h, j.h + (t1 - t0) * j.rows * j.lh, j.rows * j.lh // 4)
        copy_floats(j.record, j.record + (t1 - t0) * j.rows * j.lr, j.rows * j.lr // 4)
        t0 = t1


@entry(ENTRY)
def forward(jobs, first, last):
    """Run the units first … last − 1 forward; units of one replica share their packed weights."""
    flush_denormals(jobs[first].modes)
    for u in range(first, last):
        j = jobs[u]
        if j.fresh:
            pack_gates(j, j.H, j.D)
            pack_start(j, j.H)
        forward_unit(j)
    restore_modes(jobs[first].modes)
