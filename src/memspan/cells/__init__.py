"""Equations of recurrent units, one room a cell. ``CELLS`` knows every name without importing torch."""

from memspan.registry import Registry

CELLS = Registry(
    "cell",
    {
        "rnn": "memspan.cells.rnn.equations:RNN",
        "gru": "memspan.cells.gru.equations:GRU",
        "lstm": "memspan.cells.lstm.equations:LSTM",
        "peephole_lstm": "memspan.cells.peephole_lstm.equations:PeepholeLSTM",
    },
)
