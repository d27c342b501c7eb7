"""Equations of recurrent units, one room a cell. ``CELLS`` knows every name without importing torch."""

from memspan.registry import Registry

CELLS = Registry(
    "cell",
    {
        "rnn": "memspan.cells.rnn.equations:RNN",
        "gru": "memspan.cells.gru.equations:GRU",
        "lstm": "memspan.cells.lstm.equations:LSTM",
        "peephole_lstm": "memspan.cells.peephole_lstm.equations:PeepholeLSTM",
        "phased_rnn": "memspan.cells.time_gate.phased:phased_rnn",
        "phased_gru": "memspan.cells.time_gate.phased:phased_gru",
        "phased_lstm": "memspan.cells.time_gate.phased:phased_lstm",
    },
    bases=("memspan.cells.cell:Cell", "torch.nn:Module"),
    shipped=[
        f"memspan.cells.lstm.variants:{name}"
        for name in ("sigmoid_g", "relu_g", "held_i", "held_f", "held_g", "held_o")
    ],
    functions=True,
)


def room_of(name: str) -> str:
    """Return the package a registered cell's equations are in.

    Example:
        >>> room_of("lstm")
        'memspan.cells.lstm'
    """
    return CELLS[name].split(":")[0].rpartition(".")[0]
