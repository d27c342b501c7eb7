"""Loops over memory, mostly floats that lie one after the other, a vector at a time, for every template.

Addresses are in bytes; buffers need no alignment and may end anywhere.
"""

# mypy: disable-error-code="call-arg, no-untyped-def"

from __future__ import annotations

from memspan.linked import linked
from memspan.simd import LANES, F, fload, fstore, prefetch_far, transpose, vload, vset, vstore


@linked
def copy_floats(target, source, count):
    """Copy count floats."""
    k = 0
    while k + LANES <= count:
        vstore(target + 4 * k, vload(source + 4 * k))
        k += LANES
    while k < count:
        fstore(target + 4 * k, fload(source + 4 * k))
        k += 1


@linked
def add_floats(target, source, count):
    """Add count floats to those at target."""
    k = 0
    while k + LANES <= count:
        vstore(target + 4 * k, vload(target + 4 * k) + vload(source + 4 * k))
        k += LANES
    while k < count:
        fstore(target + 4 * k, fload(target + 4 * k) + fload(source + 4 * k))
        k += 1


@linked
def sum_floats(first, target, source, count):
    """Copy the first tile's sum, add the others'."""
    if first:
        copy_floats(target, source, count)
    else:
        add_floats(target, source, count)


@linked
def zero_floats(target, count):
    """Set count floats to zero."""
    k = 0
    while k + LANES <= count:
        vstore(target + 4 * k, vset(F(0.0)))
        k += LANES
    while k < count:
        fstore(target + 4 * k, F(0.0))
        k += 1


@linked
def pack_block(target, stride, source, count, units):
    """Turn the rows of up to LANES units, count floats each, into columns; units past the last are zero."""
    k = 0
    while units == LANES and k + LANES <= count:
        transpose(target + k * stride, stride, source + 4 * k, 4 * count)
        k += LANES
    while k < count:
        for lane in range(LANES):
            value = fload(source + 4 * (lane * count + k)) if lane < units else F(0.0)
            fstore(target + k * stride + 4 * lane, value)
        k += 1


@linked
def ask_for_lines(at, end, count, stride):
    """Ask for up to count lines a stride apart, short of an end. Return where the next one lies."""
    end = min(end, at + count * stride)
    while at < end:
        prefetch_far(at)
        at += stride
    return at
