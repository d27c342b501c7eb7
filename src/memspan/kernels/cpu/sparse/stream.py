"""The template's walk for few rows that keep nothing: each by itself, with the weights as they are."""

# ruff: noqa: F403, F405
# mypy: ignore-errors

from __future__ import annotations

import numba as nb

from memspan.kernels.cpu.floats import copy_floats, zero_floats
from memspan.kernels.cpu.sparse.lanes import row_of
from memspan.kernels.cpu.sparse.schedule import schedule_step
from memspan.kernels.cpu.sparse.stencil import *
from memspan.linked import entry, linked
from memspan.simd import *

# ---- the generated module continues from here ----


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
