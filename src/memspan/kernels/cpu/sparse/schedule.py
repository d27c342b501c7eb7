"""The template's schedule: which unit opens at which step, and how far."""

# ruff: noqa: F403, F405
# mypy: ignore-errors

from __future__ import annotations

import numba as nb

from memspan.kernels.cpu.sparse.stencil import *
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
