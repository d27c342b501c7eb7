"""Recurrent layers in place of ``torch.nn``'s, and any cell of your own as a layer."""

from memspan.layers.one_step import GRUCell, LSTMCell, OneStep, RNNCell
from memspan.layers.phased import PhasedGRU, PhasedLSTM, PhasedRNN
from memspan.layers.phased_step import PhasedGRUCell, PhasedLSTMCell, PhasedRNNCell
from memspan.layers.recurrent import Recurrent
from memspan.layers.stream import Stream
from memspan.layers.torch_like import GRU, LSTM, RNN
from memspan.layers.windows import detached, truncated

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "GRUCell",
    "LSTMCell",
    "OneStep",
    "PhasedGRU",
    "PhasedGRUCell",
    "PhasedLSTM",
    "PhasedLSTMCell",
    "PhasedRNN",
    "PhasedRNNCell",
    "RNNCell",
    "Recurrent",
    "Stream",
    "detached",
    "truncated",
]
