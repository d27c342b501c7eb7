"""The pointwise part of the LSTM with peepholes for the CPU kernel; loop and products are the kernel's.

Written on ``memspan.simd``: every argument is one vector, so the same lines serve every host.
"""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from memspan.linked import linked
from memspan.simd import F, sigmoid, tanh

SLOTS = ("i", "f", "g", "o")
GATE = (0, 1, 2, 3)  # slot → block of rows in torch's stacked weights
FROM_H = 4  # slots[:4] take the recurrent product
FROM_X = 4  # slots[-4:] take the input product
SAVED = ("i", "f", "g", "o", "c")
CARRIED = (4,)  # saved parts that are states beside h: c
DIRECT = False  # whether h' depends on h beside the product
MADE = (3,)  # saved parts that ``finish`` makes
OWN = {"peephole": 3}  # parameters that are neither weights nor biases, and their vectors a unit


@linked
def begin(z, h, s, own):
    """Return what backward needs, from z, h, the carried states s and the peepholes; o before its sigmoid."""
    i, f, g = sigmoid(z[0] + own[0] * s[0]), sigmoid(z[1] + own[1] * s[0]), tanh(z[2])
    c = f * s[0] + i * g
    return i, f, g, z[3] + own[2] * c, c


@linked
def finish(saved, h):
    """Return h' and o, from what ``begin`` saved."""
    o = sigmoid(saved[3])
    return o * tanh(saved[4]), (o,)


@linked
def again(saved, h, s):
    """Return h' and the carried states once more, from the gates that forward saved."""
    c = saved[1] * s[0] + saved[0] * saved[2]
    return saved[3] * tanh(c), (c,)


@linked
def backward(saved, s, h, new, dh, ds, own):
    """Return the gradients of z, the direct part of that of h, those of s and those of the peepholes."""
    i, f, g, o, c = saved
    t = tanh(c)
    do = dh * t * o * (F(1.0) - o)
    d = ds[0] + dh * o * (F(1.0) - t * t) + own[2] * do
    di = d * g * i * (F(1.0) - i)
    df = d * s[0] * f * (F(1.0) - f)
    dg = d * i * (F(1.0) - g * g)
    dc = d * f + own[0] * di + own[1] * df
    return (di, df, dg, do), dh, (dc,), (di * s[0], df * s[0], do * c)
