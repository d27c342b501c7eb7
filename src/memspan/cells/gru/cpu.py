"""The pointwise part of the GRU for the CPU kernel; the loop and the products are the kernel's.

The candidate's recurrent product is multiplied by r before the input product is added, so the two have a
slot each: ``hn`` takes only the recurrent product, ``xn`` only the input product.
"""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from memspan.linked import linked
from memspan.simd import F, sigmoid, tanh

SLOTS = ("hn", "r", "z", "xn")
GATE = (2, 0, 1, 2)  # slot → block of rows in torch's stacked weights
FROM_H = 3  # slots[:3] take the recurrent product
FROM_X = 3  # slots[-3:] take the input product
SAVED = ("hn", "r", "z", "n")
CARRIED = ()  # saved parts that are states beside h
DIRECT = True  # h' depends on h beside the product: z ⊙ h
MADE = (3,)  # saved parts that ``finish`` makes


@linked
def begin(z, h, s):
    """Return what backward needs, from the products z; the candidate before its tanh."""
    hn, r, u = z[0], sigmoid(z[1]), sigmoid(z[2])
    return hn, r, u, z[3] + r * hn


@linked
def finish(saved, h):
    """Return h' and the candidate, from what ``begin`` saved."""
    n = tanh(saved[3])
    return n + saved[2] * (h - n), (n,)


@linked
def again(saved, h, s):
    """Return h' once more, from what forward saved."""
    return saved[3] + saved[2] * (h - saved[3]), ()


@linked
def backward(saved, s, h, new, dh, ds):
    """Return the gradients of z, the direct part of that of h, and those of s."""
    hn, r, u, n = saved
    dn = dh * (F(1.0) - u) * (F(1.0) - n * n)
    du = dh * (h - n) * u * (F(1.0) - u)
    dr = dn * hn * r * (F(1.0) - r)
    return (dn * r, dr, du, dn), dh * u, ()
