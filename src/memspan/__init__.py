"""memspan: recurrent layers, fused CPU kernels, and how long a network remembers.

    RNN, GRU, LSTM              in place of torch.nn's, with lengths, resets, states, gates, replicas
    RNNCell, GRUCell, LSTMCell  one step of them
    Cell, Recurrent, OneStep    your own equations as a layer, or as one step
    truncated, detached         truncated back-propagation: carry the state, cut its history
    Stream                      inference step by step, what layer.stream() returns

Every name loads on first use, so that ``import memspan`` stays light.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from memspan.cells.cell import Cell
    from memspan.layers import (
        GRU,
        LSTM,
        RNN,
        GRUCell,
        LSTMCell,
        OneStep,
        Recurrent,
        RNNCell,
        Stream,
        detached,
        truncated,
    )

__version__ = "0.1.0"

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "Cell",
    "GRUCell",
    "LSTMCell",
    "OneStep",
    "RNNCell",
    "Recurrent",
    "Stream",
    "__version__",
    "detached",
    "truncated",
]

_HOMES = {"Cell": "memspan.cells.cell"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'memspan' has no attribute {name!r}")
    home = importlib.import_module(_HOMES.get(name, "memspan.layers"))
    value = globals()[name] = getattr(home, name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
