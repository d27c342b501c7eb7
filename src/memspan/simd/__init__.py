"""A small SIMD vector type for Numba: load and store by address, arithmetic, tanh, exp, sigmoid and relu.

A kernel written on it needs no compiler on the user's machine, no array views in its inner loops (each
view costs reference counting) and no luck with the auto-vectoriser. Everything is addressed by integers,
in bytes; whoever passes an address keeps its buffer alive.

``LANES`` floats make one vector: 16 where the host has AVX-512, else 8 with AVX, else 4. Bits therefore
differ between hosts of different vector length.
"""

from __future__ import annotations

from memspan.simd.functions import (
    clamp,
    exp,
    first_lanes,
    reciprocal,
    relu,
    sigmoid,
    tanh,
    where_live,
    where_positive,
)
from memspan.simd.host import IS_X86, LANES, VECTOR_BYTES, host_features, lanes_for
from memspan.simd.memory import (
    ask_for_line,
    bload,
    dload,
    dstore,
    dvload,
    dvstore,
    fload,
    fstore,
    iload,
    istore,
    prefetch_far,
    prefetch_to_write,
    transpose,
    vload,
    vstore,
)
from memspan.simd.modes import flush_denormals, restore_modes
from memspan.simd.vectors import (
    DOUBLES,
    VECTOR,
    F,
    VectorType,
    dvset,
    dvsum,
    floor,
    folding,
    less_bits,
    lowest_bit,
    multiply_add,
    narrow,
    vset,
    vsqrt,
    vsum,
    where_less,
    widen,
)

__all__ = [
    "DOUBLES",
    "IS_X86",
    "LANES",
    "VECTOR",
    "VECTOR_BYTES",
    "F",
    "VectorType",
    "ask_for_line",
    "bload",
    "clamp",
    "dload",
    "dstore",
    "dvload",
    "dvset",
    "dvstore",
    "dvsum",
    "exp",
    "first_lanes",
    "fload",
    "floor",
    "flush_denormals",
    "folding",
    "fstore",
    "host_features",
    "iload",
    "istore",
    "lanes_for",
    "less_bits",
    "lowest_bit",
    "multiply_add",
    "narrow",
    "prefetch_far",
    "prefetch_to_write",
    "reciprocal",
    "relu",
    "restore_modes",
    "sigmoid",
    "tanh",
    "transpose",
    "vload",
    "vset",
    "vsqrt",
    "vstore",
    "vsum",
    "where_less",
    "where_live",
    "where_positive",
    "widen",
]
