"""The template of a kernel: one forward and one backward walk through time, for every cell.

A generated module (``generate.py``) defines the cell's constants and register tiles and continues with what
lies below the mark here and in ``forward.py`` or ``backward.py``: a walk is a module of its own, so that both
compile at once. Here the names come from ``stencil``, so that these files read as plain Python.

Buffers of a unit, one row of each per batch row:
    h       (chunk + 1) × rows × [h | 1 | x]: the input of step t beside the state before it
    record  (chunk + 1) × rows × [block of lanes][SAVED]: what backward needs; slot s + 1 belongs to step s
    dz      ring × rows × [slot][units]
"""

# ruff: noqa: F403, F405
# mypy: ignore-errors

from __future__ import annotations

from memspan.kernels.cpu.stencil import *
from memspan.linked import linked
from memspan.simd import *

# Numba compiles a function again for a literal argument, so first values that are passed on are nb.intp(0).

# ---- the generated module continues from here ----


@linked
def units_of(H):
    """Return H rounded up to whole panels."""
    return (H + BLOCKS * LANES - 1) // (BLOCKS * LANES) * (BLOCKS * LANES)


@linked
def live_rows(j, n, t):
    """Return how many of the first n rows are longer than t."""
    while n > 0 and iload(j.length + 8 * (n - 1)) <= t:
        n -= 1
    return n


@linked
def state_parts(j, row, part):
    """Return the address of one row's part of a stacked (parts, R, B, H) state."""
    return part * j.state_part + 4 * row * j.H


@linked
def open_row(j, time, target):
    """Write the openness of every unit at a time."""
    units = units_of(j.H)
    for q in range(units // LANES):
        at = j.clocks + 8 * LANES * q
        period, ratio = dvload(at), dvload(at + 16 * units)
        phi = phase(time - dvload(at + 8 * units), period, dvload(at + 32 * units))
        vstore(target + q * VB, narrow(openness(phi, ratio, dvload(at + 24 * units))))


@linked
def open_step(j, n, t):
    """Write the openness at step t: one row for all, or one for each of n rows."""
    if j.lk == 0:
        open_row(j, dload(j.times + 8 * t), j.open)
    else:
        for r in range(n):
            open_row(j, dload(j.times + 8 * (t * j.B + iload(j.order + 8 * r))), j.open + r * j.lk)
