"""memspan: recurrent layers, fused CPU kernels, and how long a network remembers.

    RNN, GRU, LSTM              in place of torch.nn's, with lengths, resets, states, gates, replicas
    RNNCell, GRUCell, LSTMCell  one step of them
    PhasedRNN, PhasedGRU, PhasedLSTM
                                the same on clocks, for events at any times
    PhasedRNNCell, PhasedGRUCell, PhasedLSTMCell
                                one step of them
    LogUniform, FirstEvent      how their clocks start
    merge_streams               what several sensors recorded, as one sequence of events
    Cell, Recurrent, OneStep    your own equations as a layer, or as one step
    TimeGate                    clocks around any cell
    truncated, detached         truncated back-propagation: carry the state, cut its history
    Stream                      inference step by step, what layer.stream() returns
    CharacterModel, Sampling    a network that writes text, and how it chooses characters
    span                        how long a cell remembers: a length, its interval, what it cost

Every name loads on first use, so that ``import memspan`` stays light.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from memspan.cells.cell import Cell
    from memspan.cells.time_gate.equations import TimeGate
    from memspan.cells.time_gate.initial import FirstEvent, LogUniform
    from memspan.layers import (
        GRU,
        LSTM,
        RNN,
        GRUCell,
        LSTMCell,
        OneStep,
        PhasedGRU,
        PhasedGRUCell,
        PhasedLSTM,
        PhasedLSTMCell,
        PhasedRNN,
        PhasedRNNCell,
        Recurrent,
        RNNCell,
        Stream,
        detached,
        truncated,
    )
    from memspan.models.character import CharacterModel
    from memspan.models.sampling import Sampling
    from memspan.sensors import merge_streams
    from memspan.study.span_call import span

__version__ = "0.1.0"

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "Cell",
    "CharacterModel",
    "FirstEvent",
    "GRUCell",
    "LSTMCell",
    "LogUniform",
    "OneStep",
    "PhasedGRU",
    "PhasedGRUCell",
    "PhasedLSTM",
    "PhasedLSTMCell",
    "PhasedRNN",
    "PhasedRNNCell",
    "RNNCell",
    "Recurrent",
    "Sampling",
    "Stream",
    "TimeGate",
    "__version__",
    "detached",
    "merge_streams",
    "span",
    "truncated",
]

_HOMES = {
    "Cell": "memspan.cells.cell",
    "TimeGate": "memspan.cells.time_gate.equations",
    "FirstEvent": "memspan.cells.time_gate.initial",
    "LogUniform": "memspan.cells.time_gate.initial",
    "CharacterModel": "memspan.models.character",
    "Sampling": "memspan.models.sampling",
    "merge_streams": "memspan.sensors",
    "span": "memspan.study.span_call",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'memspan' has no attribute {name!r}")
    home = importlib.import_module(_HOMES.get(name, "memspan.layers"))
    value = globals()[name] = getattr(home, name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
