"""Clocks that know where the first digit is, and clocks that do not; and a clock that is to be found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from memspan.config import Recipe, RunConfig
from memspan.probes import RunProbe
from memspan.study.experiment import Experiment
from memspan.tasks.palindrome import Palindrome
from memspan.tasks.planted_period import PlantedPeriod

TOLD, SHIFTED, UNTOLD, MOVED = (
    "Phased LSTM, clock told",
    "Phased LSTM, shifts uniform",
    "Phased LSTM, T not told",
    "Phased LSTM, random origin",
)
LSTM, CHRONO, GRU = "LSTM, first step flagged", "LSTM, flagged, chrono", "GRU, first step flagged"
WINDOW = {"clock_window_low": 1.0, "clock_window_high": 8.0}
PHASED = {"cell": "phased_lstm", "bias": "forget_one", "leak": 0.0}
NETWORKS: Mapping[str, Mapping[str, Any]] = {
    TOLD: {**PHASED, **WINDOW, "clock_shift": "first_event"},
    SHIFTED: {**PHASED, **WINDOW},
    UNTOLD: {**PHASED, "clock_low": 2.0, "clock_high": 4e5},
    MOVED: {**PHASED, **WINDOW, "clock_shift": "first_event", "time_origin": "random"},
    LSTM: {"cell": "lstm", "bias": "forget_one", "time_input": "first"},
    CHRONO: {"cell": "lstm", "bias": "chrono", "time_input": "first"},
    GRU: {"cell": "gru", "time_input": "first"},
}
"""Name → the fields in which the recipes differ; where nothing is said, periods reach to 4T."""
LENGTHS = (100, 1000)
LONG, LONGEST = 10_000, 100_000


@dataclass(frozen=True)
class Longer:
    """What is other where palindromes are long.

    Args:
        updates: in place of 1,500; a clock that is told needs 300 to 600 at T = 100 and 1,000.
        shortest: period in place of 2 steps, so that few units are open at a time.
        settles: updates after which a gate's rate falls; a high one throws back clocks that solved it.
    """

    updates: int
    shortest: float
    settles: int


LONGER = {LONG: Longer(750, 16.0, 300), LONGEST: Longer(1000, 8.0, 250)}
"""Chosen for the told clock, on the seeds that are shown."""
SEEDS = range(5)

DIGITS = Recipe(
    hidden=64,
    batch=32,
    optimizer="adam",
    learning_rate=3e-3,
    lr_decay=0.3,
    lr_decay_steps=500,
    steps=1500,
    clock_low=2.0,
    evaluation_size=256,
    final_size=1024,
)
PLANTED = Recipe(
    cell="phased_rnn",
    hidden=1,
    init="identity",
    input_scale=0.05,
    leak=0.0,
    clock_shift="first_event",
    clock_ratio=0.2,
    optimizer="adam",
    learning_rate=3e-3,
    lr_decay=0.5,
    lr_decay_steps=500,
    batch=64,
    steps=1500,
    evaluate_every=500,
)
"""One unit that can sum its input: its own weight is 1 and its input small, so that tanh is straight."""
PERIOD, RATIO = 50.0, 0.2
CYCLES = (5, 20, 80)
AWAY = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5)
"""δ: the period starts at (1 + δ) of the planted one."""


def clocks(lengths: Iterable[int] = LENGTHS, seeds: Iterable[int] = SEEDS, **recipe: Any) -> Experiment:
    """Return every network at some lengths (c20); those told at T = 1,000 are streamed a million digits."""
    cases = product(lengths, NETWORKS, tuple(seeds))
    runs = tuple(palindrome(name, length, seed, **recipe) for length, name, seed in cases)
    told = [run for run in runs if run.recipe.clock_shift == "first_event" and run.task.steps == 999]
    streamed = tuple(RunProbe("streaming", run) for run in told if run.recipe.time_origin == "zero")
    title = "Long palindromes: clocks told and not told"
    return Experiment("clocks", title, runs, ("c20", "fig-clocks", "fig-spread"), streamed)


def clocks_long(seeds: Iterable[int] = SEEDS) -> Experiment:
    """Return every network on palindromes of 10,000 digits."""
    runs = tuple(palindrome(name, LONG, seed) for name, seed in product(NETWORKS, seeds))
    return Experiment(
        "clocks_long", "Palindromes of 10,000 digits", runs, ("c20", "fig-clocks", "fig-spread")
    )


def clocks_longest(seeds: Iterable[int] = range(3)) -> Experiment:
    """Return the networks few of whose units are open at a time, on palindromes of 100,000 digits."""
    cases = product((TOLD, SHIFTED, UNTOLD), seeds)
    runs = tuple(palindrome(name, LONGEST, seed) for name, seed in cases)
    return Experiment("clocks_longest", "Palindromes of 100,000 digits", runs, ("c20", "fig-clocks"))


def palindrome(name: str, length: int, seed: int, **recipe: Any) -> RunConfig:
    """Return one network's run at one length."""
    fields = {"clock_high": 4.0 * length, **NETWORKS[name]}
    if longer := LONGER.get(length):
        fields = {"clock_low": longer.shortest, "steps": longer.updates, **fields}
        if fields["cell"] == PHASED["cell"]:
            fields["lr_decay_steps"] = longer.settles
    return RunConfig(Palindrome(length), replace(DIGITS, **fields | recipe), seed)


def planted(
    cycles: Iterable[int] = CYCLES, away: Iterable[float] = AWAY, seeds: Iterable[int] = SEEDS, **recipe: Any
) -> Experiment:
    """Return one gated unit that looks for a planted period from further and further away (c22)."""
    runs = tuple(_planted(n, delta, seed, **recipe) for n, delta, seed in product(cycles, away, tuple(seeds)))
    return Experiment(
        "planted", "A planted period, and how near one must start", runs, ("c22", "fig-planted")
    )


def _planted(cycles: int, delta: float, seed: int, **recipe: Any) -> RunConfig:
    """Return the run of one unit; its first opening peaks at time 0, as the planted one does."""
    start = round(PERIOD * (1 + delta), 6)
    task = PlantedPeriod(cycles, PERIOD, shift=-RATIO * PERIOD / 2, open_ratio=RATIO)
    return RunConfig(task, replace(PLANTED, clock_low=start, clock_high=start, **recipe), seed)
