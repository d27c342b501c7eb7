"""Where gradients go and what gates do: questions to trained runs, and LSTMs with one gate changed."""

from __future__ import annotations

from collections.abc import Iterable

from memspan.config import Recipe, RunConfig
from memspan.probes import RunProbe
from memspan.study.experiment import Experiment
from memspan.tasks.palindrome import Palindrome

LEARNS = Recipe(cell="lstm", bias="chrono", optimizer="adam")
"""An LSTM that learns T = 100, beside the report's, which does not."""
REACHES = (10, 30, 100)
VARIANTS = ("sigmoid_g", "relu_g", "held_i", "held_f", "held_g", "held_o")
"""What becomes of one gate, in ``memspan.cells.lstm.variants``."""


def variant(name: str) -> str:
    """Return the cell's name of a variant: its import path."""
    return f"memspan.cells.lstm.variants:{name}"


def gradients(seeds: Iterable[int] = range(5)) -> Experiment:
    """Ask how far gradients reach, before and after training (c17, c35)."""
    kept = tuple(seeds)
    reports = [
        RunConfig(Palindrome(length), Recipe(cell=cell), seed)
        for length in REACHES
        for cell in ("rnn", "lstm")
        for seed in kept
    ]
    learns = [RunConfig(Palindrome(100), LEARNS, seed) for seed in kept]
    runs = (*reports, *learns)
    return Experiment(
        "gradients",
        "Gradients through trained networks",
        runs,
        ("c17", "c35", "fig-gradients", "fig-products", "fig-reach"),
        tuple(RunProbe("gradients", run) for run in runs),
    )


def gates(seed: int = 0) -> Experiment:
    """Look at the gates of trained LSTMs and the clocks of a trained Phased LSTM."""
    lstms = [RunConfig(Palindrome(length), Recipe(bias="forget_one"), seed) for length in (20, 50)]
    lstms.append(RunConfig(Palindrome(100), LEARNS, seed))
    clocks = Recipe(cell="phased_lstm", optimizer="adam", clock_low=2.0, clock_high=200.0, clock_ratio=0.1)
    phased = RunConfig(Palindrome(50), clocks, seed)
    return Experiment(
        "gates",
        "Gates of trained LSTMs and clocks of a trained Phased LSTM",
        (*lstms, phased),
        ("fig-gates", "fig-clock"),
        (*(RunProbe("gates", run) for run in lstms), RunProbe("clock", phased)),
    )


def gate_variants(seeds: Iterable[int] = range(5)) -> Experiment:
    """Train the LSTM with one gate changed, forget bias 1, T = 20 (c34)."""
    cells = ("lstm", *map(variant, VARIANTS))
    runs = tuple(
        RunConfig(Palindrome(20), Recipe(cell=cell, bias="forget_one"), seed)
        for seed in seeds
        for cell in cells
    )
    return Experiment("gate_variants", "An LSTM with one gate changed", runs, ("c34", "fig-variants"))
