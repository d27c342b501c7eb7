"""Whether Numba may compile at all: ``NUMBA_DISABLE_JIT`` turns it off, to debug functions of one's own."""

from __future__ import annotations

import os
import sys
from typing import Any

REFUSAL = "NUMBA_DISABLE_JIT is set, which keeps Numba from compiling the kernel"


def disabled() -> bool:
    """Return whether Numba is told not to compile, without importing it for the question."""
    numba: Any = sys.modules.get("numba")
    config = getattr(numba, "config", None)
    if config is not None:
        return bool(getattr(config, "DISABLE_JIT", 0))
    try:
        return bool(int(os.environ.get("NUMBA_DISABLE_JIT", "0")))
    except ValueError:  # Numba too takes what is no number for unset
        return False


# ``torch.compile`` shall ask when it traces; ``torch.compiler.assume_constant_result`` says so, and imports
# the whole compiler to do that.
disabled._dynamo_marked_constant = True  # type: ignore[attr-defined]
