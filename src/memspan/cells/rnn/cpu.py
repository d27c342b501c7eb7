"""The pointwise part of the vanilla unit for the CPU kernel; the loop and the product are the kernel's."""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from memspan.linked import linked
from memspan.simd import F, relu, tanh, where_positive

SLOTS = ("h",)
GATE = (0,)  # slot → block of rows in torch's stacked weights
FROM_H = 1  # slots[:1] take the recurrent product
FROM_X = 1  # slots[-1:] take the input product
SAVED = ()  # the derivative needs h' only
CARRIED = ()
DIRECT = False  # whether h' depends on h beside the product


@linked
def forward_tanh(z, h, s):
    """Return h' = tanh(z)."""
    return tanh(z[0]), ()


@linked
def backward_tanh(saved, s, h, new, dh, ds):
    """Return the gradient of z; tanh' = 1 − tanh²."""
    return (dh * (F(1.0) - new * new),), dh, ()


@linked
def forward_relu(z, h, s):
    """Return h' = max(0, z)."""
    return relu(z[0]), ()


@linked
def backward_relu(saved, s, h, new, dh, ds):
    """Return the gradient of z; 0 where z ≤ 0."""
    return (where_positive(new, dh),), dh, ()
