"""The palindrome study: a vanilla RNN and an LSTM at every length, the report's recipe."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product

from memspan.config import Recipe, RunConfig
from memspan.study.experiment import Experiment
from memspan.tasks.palindrome import Palindrome

LENGTHS = (5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 75, 100)
CELLS = ("rnn", "lstm")
STEPS = 5000
SERVES = (
    *("fig1a", "fig1b", "fig1c", "fig2a", "fig2b", "fig2c", "fig3a", "fig3b"),
    *("c04", "c05", "c06", "c08", "c12", "c13", "c15", "c16", "c32"),
)


def palindromes(
    lengths: Iterable[int] = LENGTHS, steps: int = STEPS, seeds: Iterable[int] = (0,)
) -> Experiment:
    """Return the study of both cells at some lengths, budget and seeds; all else as the report had it."""
    runs = (
        RunConfig(Palindrome(length), Recipe(cell=cell, steps=steps), seed)
        for seed, cell, length in product(tuple(seeds), CELLS, tuple(lengths))
    )
    return Experiment("palindromes", "Palindromes: vanilla RNN and LSTM", tuple(runs), SERVES)
