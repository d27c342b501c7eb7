"""Recipes that remember palindromes the report's cannot, and the runs that say how reliably."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from memspan.config import Recipe, RunConfig
from memspan.study.experiment import Experiment
from memspan.tasks.palindrome import Palindrome

_FEEDS: dict[str, Any] = {"init": "orthogonal", "coding": "one_hot", "optimizer": "adam", "clip": 1.0}
"""What the recipes share: no unit forgets or grows at the start, no digit is louder than another."""
_LSTM: dict[str, Any] = {"bias": "chrono", "learning_rate": 3e-3, "lr_decay": 0.3, "lr_decay_steps": 1000}
_RNN: dict[str, Any] = {
    "cell": "rnn", "input_scale": 0.1, "learning_rate": 1e-3, "lr_decay": 0.5, "lr_decay_steps": 500,
}  # fmt: skip
RECIPES: dict[str, Recipe] = {
    "LSTM": Recipe(**(_FEEDS | _LSTM)),
    "LSTM, T not told": Recipe(**(_FEEDS | _LSTM), chrono_longest=1000),
    "RNN": Recipe(**(_FEEDS | _RNN)),
    "RNN, digits as numbers": Recipe(**(_FEEDS | _RNN | {"coding": "scalar"})),
    "RNN that latches": Recipe(
        **(_FEEDS | {"cell": "rnn", "init": "identity", "recurrent_scale": 3.0, "learning_rate": 1e-3})
    ),
}
"""By what they are called. The last is told where the cue is: its state keeps what it is shown first."""
PROVED: dict[str, dict[int, int]] = {
    "LSTM": {100: 1500, 200: 2500, 300: 3000, 500: 3000},
    "LSTM, T not told": {100: 1500, 200: 2500},
    "RNN": {50: 1000, 100: 1500, 200: 3000},
    "RNN, digits as numbers": {50: 1500, 100: 1500},
    "RNN that latches": {100: 500, 1000: 500},
}
"""Recipe → length → steps, asked with ten seeds up to T = 200 and with five beyond."""


def recipe_runs(name: str, length: int, seeds: Iterable[int] = range(10)) -> list[RunConfig]:
    """Return the runs of one recipe at one of its lengths."""
    fields = vars(RECIPES[name]) | {"steps": PROVED[name][length]}
    return [RunConfig(Palindrome(length), Recipe(**fields), seed) for seed in seeds]


def recipes() -> Experiment:
    """Ask every recipe at every length of ``PROVED``."""
    runs = [
        run
        for name, lengths in PROVED.items()
        for length in lengths
        for run in recipe_runs(name, length, range(10 if length <= 200 else 5))
    ]
    return Experiment("recipes", "Recipes that remember longer", tuple(runs), ("fig-recipes",))
