"""memspan: recurrent layers, fused CPU kernels, and how long a network remembers.

Layers load on first use, so that ``import memspan`` stays light:

    RNN, GRU, LSTM              in place of torch.nn's
    Recurrent                   any cell as a layer
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from memspan.layers import GRU, LSTM, RNN, Recurrent

__version__ = "0.1.0"

_HOMES = dict.fromkeys(("GRU", "LSTM", "RNN", "Recurrent"), "memspan.layers")

__all__ = ["GRU", "LSTM", "RNN", "Recurrent", "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'memspan' has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
