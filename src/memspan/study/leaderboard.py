"""The leaderboard: the memory span of every cell on every task with an axis, all of one size and budget."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from memspan.config import Recipe
from memspan.study.span_search import SEEDS, SpanSearch

_SHARED: dict[str, Any] = {
    "hidden": 64,
    "batch": 64,
    "init": "orthogonal",
    "coding": "one_hot",
    "optimizer": "adam",
    "learning_rate": 3e-3,
    "clip": 1.0,
}
_CLOCKS: dict[str, Any] = {"clock_low": 2.0, "clock_high": 500.0, "clock_ratio": 0.1, "leak": 0.0}
_UNTOLD = _CLOCKS | {"time_origin": "random"}
_SMALL: dict[str, Any] = {"learning_rate": 1e-3, "input_scale": 0.1}
"""A plain RNN's state is overrun by inputs as loud as itself, and by steps as large as the others take."""
ROWS: dict[str, Recipe] = {
    name: Recipe(**(_SHARED | changed))
    for name, changed in {
        "RNN": {"cell": "rnn", **_SMALL},
        "GRU": {"cell": "gru"},
        "LSTM": {"cell": "lstm", "bias": "forget_one"},
        "LSTM, chrono for 1000": {"cell": "lstm", "bias": "chrono", "chrono_longest": 1000},
        "Peephole LSTM": {"cell": "peephole_lstm", "bias": "forget_one"},
        "Phased RNN": {"cell": "phased_rnn", **_SMALL, **_UNTOLD},
        "Phased GRU": {"cell": "phased_gru", **_UNTOLD},
        "Phased LSTM": {"cell": "phased_lstm", "bias": "forget_one", **_UNTOLD},
        "LSTM, chrono for T": {"cell": "lstm", "bias": "chrono"},
        "LSTM, first step marked": {"cell": "lstm", "bias": "forget_one", "time_input": "first"},
        "RNN that latches": {
            "cell": "rnn",
            "init": "identity",
            "recurrent_scale": 3.0,
            "learning_rate": 1e-3,
        },
        "Phased LSTM, opened at the first event": {
            "cell": "phased_lstm",
            "bias": "forget_one",
            **_CLOCKS,
            "clock_shift": "first_event",
        },
    }.items()
}
"""What a row is called → its recipe, which a task gives its steps."""


@dataclass(frozen=True)
class BoardTask:
    """A column: the shortest and the longest length asked, and every run's steps.

    Doubling the shortest meets the longest, or the task's end.
    """

    shortest: int
    longest: int
    steps: int


TASKS = {
    "palindrome": BoardTask(3, 192, 2_000),
    "copy": BoardTask(10, 80, 2_000),
    "adding": BoardTask(10, 160, 2_000),
    "associative_recall": BoardTask(1, 26, 12_000),
}
"""The columns. No run recalls two pairs before its 9,000th step, so that fewer would tell nothing apart."""


def board_search(name: str, task: str) -> SpanSearch:
    """Return the search behind one place of the board; palindromes begin with ten seeds, others with five."""
    first = SEEDS[1] if task == "palindrome" else SEEDS[0]
    asked = TASKS[task]
    return SpanSearch(
        replace(ROWS[name], steps=asked.steps),
        task,
        shortest=asked.shortest,
        longest=asked.longest,
        first=first,
        resolution=1.25,
    )


def board_searches() -> dict[tuple[str, str], SpanSearch]:
    """Return (row, task) → the search behind that place."""
    return {(name, task): board_search(name, task) for task in TASKS for name in ROWS}
