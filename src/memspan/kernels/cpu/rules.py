"""The template of an update: clipping, then RMSProp, Adam or gradient descent, a replica a unit of work.

The definitions, with their sources, are ``memspan.training.optimizers``; settings come from there. A row of
parameters may end anywhere in a vector: rows begin on cache lines and the rest of the last one is padding.
"""

# ruff: noqa: F403, F405
# mypy: ignore-errors

from __future__ import annotations

import math

from memspan.kernels.cpu.stencil import *
from memspan.linked import entry, linked
from memspan.simd import *

# ---- the generated module continues from here ----


@linked
def norm_of(g, end):
    """Return the Euclidean norm of a row, summed in float64."""
    total = dvset(0.0)
    while g < end:
        wide = widen(vload(g))
        total, g = total + wide * wide, g + VECTOR_BYTES
    return math.sqrt(dvsum(total))


@linked
def rmsprop(j, g, at, s):
    """Return one vector's step by RMSProp; s: η, α, 1 − α, ε."""
    r = vload(j.slot_0 + at) * s[1] + s[2] * g * g
    vstore(j.slot_0 + at, r)
    return s[0] * g / (vsqrt(r) + s[3])


@linked
def adam(j, g, at, s):
    """Return one vector's step by Adam; s: η / (1 − β₁ᵗ), 1 − β₁, β₂, 1 − β₂, ε, √(1 − β₂ᵗ)."""
    m, v = vload(j.slot_0 + at), vload(j.slot_1 + at)
    m, v = m + s[1] * (g - m), v * s[2] + s[3] * g * g
    vstore(j.slot_0 + at, m)
    vstore(j.slot_1 + at, v)
    return s[0] * m / (vsqrt(v) / s[5] + s[4])


@linked
def sgd(j, g, at, s):
    """Return one vector's step by gradient descent with momentum; s: η, μ."""
    b = vload(j.slot_0 + at) * s[1] + g
    vstore(j.slot_0 + at, b)
    return s[0] * b


@linked
def setting(j, k):
    """Return one of the rule's numbers."""
    return F(dload(j.settings + 8 * k))


@linked
def change(j, scale):
    """Move a row of weights by what the rule makes of its gradient times a number."""
    s = (setting(j, 0), setting(j, 1), setting(j, 2), setting(j, 3), setting(j, 4), setting(j, 5))
    for at in range(0, 4 * j.P, VECTOR_BYTES):
        g = vload(j.gradients + at) * scale
        if j.rule == RMSPROP:
            step = rmsprop(j, g, at, s)
        elif j.rule == ADAM:
            step = adam(j, g, at, s)
        else:
            step = sgd(j, g, at, s)
        vstore(j.weights + at, vload(j.weights + at) - step)


@entry(ENTRY)
def update(jobs, first, last):
    """Clip and update the replicas first … last − 1, but for those that diverged; tell the norms."""
    flush_denormals(jobs[first].modes)
    for u in range(first, last):
        j = jobs[u]
        norm, largest = norm_of(j.gradients, j.gradients + 4 * j.P), dload(j.clip)
        dstore(j.norm, norm)
        if math.isfinite(norm) and math.isfinite(dload(j.loss)):
            change(j, F(min(1.0, largest / (norm + 1e-6))) if largest > 0.0 else F(1.0))
    restore_modes(jobs[first].modes)
