"""The pointwise part of the LSTM for the CPU kernel; the loop and the products are the kernel's.

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
MADE = ()  # saved parts that ``finish`` makes


@linked
def begin(z, h, s):
    """Return what backward needs, from the products z, h and the carried states s."""
    i, f, g, o = sigmoid(z[0]), sigmoid(z[1]), tanh(z[2]), sigmoid(z[3])
    return i, f, g, o, f * s[0] + i * g


@linked
def finish(saved, h):
    """Return h', from what ``begin`` saved."""
    return saved[3] * tanh(saved[4]), ()


@linked
def again(saved, h, s):
    """Return h' and the carried states once more, from the gates that forward saved."""
    c = saved[1] * s[0] + saved[0] * saved[2]
    return saved[3] * tanh(c), (c,)


@linked
def backward(saved, s, h, new, dh, ds):
    """Return the gradients of z, the direct part of that of h, and those of s."""
    i, f, g, o, c = saved
    t = tanh(c)
    d = ds[0] + dh * o * (F(1.0) - t * t)
    di = d * g * i * (F(1.0) - i)
    df = d * s[0] * f * (F(1.0) - f)
    dg = d * i * (F(1.0) - g * g)
    do = dh * t * o * (F(1.0) - o)
    return (di, df, dg, do), dh, (d * f,)
