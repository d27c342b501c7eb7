"""The template's sums of weight gradients over a replica's tiles; ``sequence.py`` says what buffers hold."""

# ruff: noqa: F403, F405
# mypy: ignore-errors

from __future__ import annotations

from memspan.kernels.cpu.floats import sum_floats
from memspan.kernels.cpu.sequence import units_of
from memspan.kernels.cpu.stencil import *
from memspan.linked import entry, linked
from memspan.simd import *

# ---- the generated module continues from here ----


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
