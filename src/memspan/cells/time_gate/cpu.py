"""The curve of the time gate for the CPU kernel, on vectors of float64: phase, openness and its slopes.

Units lie in the lanes: one vector of periods, shifts and open ratios, and one time for all of them.
"""

# mypy: disable-error-code="call-arg, no-untyped-def, var-annotated"

from __future__ import annotations

from memspan.linked import linked
from memspan.simd import dvset, floor, where_less


@linked
def phase(distance, period, rate):
    """Return φ = (distance mod τ)/τ of distance = t − s, the modulo floored; rate: 1/τ, to divide by τ."""
    rest = distance - floor(distance * rate) * period  # fused, so exact; the quotient may be one off
    rest = where_less(rest, dvset(0.0), rest + period, rest)
    return where_less(rest, period, rest, rest - period) * rate


@linked
def openness(phi, ratio, leak):
    """Return k at a phase; each part of the curve includes its left end."""
    falling = where_less(phi, ratio, 2.0 - 2.0 * phi / ratio, leak * phi)
    return where_less(phi, 0.5 * ratio, 2.0 * phi / ratio, falling)


@linked
def slopes(phi, distance, period, ratio, leak):
    """Return the derivatives of k by period, shift and open ratio."""
    zero, along, narrower = dvset(0.0), 2.0 / ratio, 2.0 * phi / (ratio * ratio)
    by_phase = where_less(phi, ratio, zero - along, leak)
    by_ratio = where_less(phi, ratio, narrower, zero)
    by_phase = where_less(phi, 0.5 * ratio, along, by_phase) / period
    by_ratio = where_less(phi, 0.5 * ratio, zero - narrower, by_ratio)
    return zero - by_phase * distance / period, zero - by_phase, by_ratio
