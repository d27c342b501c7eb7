"""The template of generation: rows of text go on by themselves, one symbol a step, inside one call.

A generated module (``writer.py``) takes cell and register tiles from the cell's own kernel module and goes on
with everything below the mark; here the names come from ``stencil``, so that this file reads as plain Python.

A *writing* is what one work unit, a tile of rows, has to do; beside it lies one job a layer. States alternate
between two slots. In the first layer symbols pick rows of a table; layer k + 1 reads [h | 1 | x], x the
new h of layer k. Every row's sums are taken in one order whatever the tile: its text knows no batch.
"""

# ruff: noqa: F403, F405
# mypy: ignore-errors

from __future__ import annotations

import numba as nb

from memspan.kernels.cpu.floats import copy_floats
from memspan.kernels.cpu.forward import forward_step, load_state, pack_gates, pack_start
from memspan.kernels.cpu.sampling import write_symbols
from memspan.kernels.cpu.sequence import units_of
from memspan.kernels.cpu.stencil import *
from memspan.linked import entry, linked
from memspan.simd import *

# ---- the generated module continues from here ----


@linked
def enter_layer(w, j, h, below, width):
    """Write what every row reads: the table row of its symbol, or 1 and the new h of the layer below."""
    for r in range(w.rows):
        if j.V:
            symbol = iload(w.symbols + 8 * r)
            istore(j.starts + 8 * r, j.start + 4 * symbol * SLOTS * units_of(j.H))
        else:
            at = h + r * j.lh + 4 * j.H
            fstore(at, F(1.0))
            copy_floats(at + 4, below + r * width, j.D)


@linked
def advance(w, jobs, first, slot):
    """One step of every layer; return the address of the last layer's new rows."""
    new, width = nb.intp(0), nb.intp(0)
    for k in range(first, first + w.layers):
        j = jobs[k]
        now, then = slot * w.room, (1 - slot) * w.room
        enter_layer(w, j, j.h + now * j.lh, new, width)
        new, width = j.h + then * j.lh, j.lh
        forward_step(j, w.rows, j.h + now * j.lh, new, j.record + now * j.lr, j.record + then * j.lr, False)
    return new


@linked
def read_out(w, h):
    """energies = W h + b, every row contiguous: tiles of rows, a panel of four vectors at a time."""
    panel = 4 * VB
    for p in range(w.padded * 4 // panel):
        panels, r = w.weights + p * panel * w.H, 0
        while r < w.rows:
            a, left = h + r * w.lh, w.rows - r
            m = energy_rows(left, a, w.lh, w.starts, p * panel, panels, w.H, nb.intp(0), w.z)
            for i in range(m):
                copy_floats(w.energies + 4 * (r + i) * w.padded + p * panel, w.z + i * panel, panel // 4)
            r += m


@entry(PREPARE)
def prepare(jobs, layers):
    """Pack the layers' weights, which all units share, and put the initial states in their place."""
    for k in range(layers):
        pack_gates(jobs[k], jobs[k].H, jobs[k].D)
        pack_start(jobs[k], jobs[k].H)
    for k in range(len(jobs)):
        load_state(jobs[k])


@entry(WRITE)
def write(jobs, writings, steps, first, last):
    """Let the units first … last − 1 go on by so many symbols, one unit after the other."""
    flush_denormals(writings[first].modes)
    for u in range(first, last):
        w = writings[u]
        for step in range(steps):
            new = advance(w, jobs, u * w.layers, (w.position + step) % 2)
            read_out(w, new)
            write_symbols(w, step)
    restore_modes(writings[first].modes)
