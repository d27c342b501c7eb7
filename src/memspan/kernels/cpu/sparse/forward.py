"""The template's walk forward through open units; ``lanes.py`` says what the buffers hold."""

# ruff: noqa: F403, F405
# mypy: ignore-errors

from __future__ import annotations

import numba as nb

from memspan.kernels.cpu.floats import copy_floats
from memspan.kernels.cpu.sparse.lanes import (
    border_of,
    enter_lanes,
    live_rows,
    load_state,
    mark_live,
    pack_replica,
    row_of,
    write_last,
)
from memspan.kernels.cpu.sparse.stencil import *
from memspan.linked import entry, linked
from memspan.simd import *

# ---- the generated module continues from here ----


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
def open_step(j, used, e, end, base):
    """All openings of one step: their products first, as all read the old states, then the pointwise part."""
    size = SLOTS * j.ls
    product_units(used, j.who + 8 * e, end - e, j.panel, j.lp, j.s, j.ls, j.H, j.D, j.z, size)
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
    packed = nb.intp(-1)
    for u in range(first, last):
        j = jobs[u]
        packed = pack_replica(j, packed)
        forward_unit(j)
    restore_modes(jobs[first].modes)
