"""Ways to unroll a cell over time: the reference loop and the fused CPU kernel.

The names load on first use: a process that only compiles a kernel needs no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from memspan.kernels.unrolling import COMPILED, Choice, Recorded, Unrolled, choose, proven, record, unroll

__all__ = ["COMPILED", "Choice", "Recorded", "Unrolled", "choose", "proven", "record", "unroll"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(importlib.import_module("memspan.kernels.unrolling"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
