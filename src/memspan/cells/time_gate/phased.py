"""Gated cells under names of their own: factories, so that every one of them is a plain ``TimeGate``."""

from __future__ import annotations

from memspan.cells.gru.equations import GRU
from memspan.cells.peephole_lstm.equations import PeepholeLSTM
from memspan.cells.rnn.equations import RNN
from memspan.cells.time_gate.equations import LEAK, TimeGate
from memspan.cells.time_gate.initial import Scheme


def phased_lstm(
    input_size: int, hidden_size: int, biases: int = 2, *, leak: float = LEAK, initial: Scheme | None = None
) -> TimeGate:
    """Return the Phased LSTM of Neil, Pfeiffer & Liu (2016): a time gate around an LSTM with peepholes."""
    return TimeGate(PeepholeLSTM(input_size, hidden_size, biases), leak, initial)


def phased_gru(
    input_size: int, hidden_size: int, biases: int = 2, *, leak: float = LEAK, initial: Scheme | None = None
) -> TimeGate:
    """Return a time gate around a GRU."""
    return TimeGate(GRU(input_size, hidden_size, biases), leak, initial)


def phased_rnn(
    input_size: int,
    hidden_size: int,
    biases: int = 2,
    *,
    nonlinearity: str = "tanh",
    leak: float = LEAK,
    initial: Scheme | None = None,
) -> TimeGate:
    """Return a time gate around a vanilla RNN."""
    return TimeGate(RNN(input_size, hidden_size, biases, nonlinearity=nonlinearity), leak, initial)
