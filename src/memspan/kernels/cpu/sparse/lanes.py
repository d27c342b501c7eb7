"""What the template's walks share: batch rows into lanes and back, weights by unit.

A generated module (``generate.py``) defines the cell's constants and register tiles and continues with what
lies below the mark in the files of the template: ``schedule.py``, this one, ``forward.py``, ``backward.py``
and ``stream.py``. Here the names come from ``stencil``, so that these files read as plain Python.

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

from memspan.kernels.cpu.floats import zero_floats
from memspan.kernels.cpu.sparse.stencil import *
from memspan.linked import linked
from memspan.simd import *

# ---- the generated module continues from here ----


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
def pack_replica(j, packed):
    """Pack the weights of a unit of work unless those of its replica are; return that replica."""
    if j.replica != packed:
        pack_units(j)
    return j.replica


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
def border_of(j, t):
    """Return where the states before step t are kept, for the chunk that starts there."""
    return j.border + t // j.chunk * STATES * j.H * j.ls
