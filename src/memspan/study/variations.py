"""The report's palindrome runs with one thing changed: start, update rule, rate, budget, size, batches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product
from typing import Any

from memspan.config import Recipe, RunConfig
from memspan.study.experiment import Experiment
from memspan.study.palindromes import LENGTHS
from memspan.tasks.palindrome import Palindrome

Change = Mapping[str, Any]
"""Fields of the report's recipe that are changed, the cell among them."""

SHORT = (5, 10, 15, 20, 25)
FORGETS: Change = {"cell": "lstm", "bias": "forget_one"}
INITIALISATIONS: dict[str, Change] = {
    "RNN, Xavier-normal": {"cell": "rnn"},
    "RNN, orthogonal": {"cell": "rnn", "init": "orthogonal"},
    "RNN, identity with ReLU": {"cell": "rnn", "init": "identity", "nonlinearity": "relu"},
    "LSTM, Xavier-normal": {"cell": "lstm"},
    "LSTM, orthogonal": {"cell": "lstm", "init": "orthogonal"},
    "LSTM, forget bias 1": FORGETS,
    "LSTM, chrono": {"cell": "lstm", "bias": "chrono"},
}
INITIALISED = {"rnn": (10, 20, 30), "lstm": (20, 50)}
LEARNERS: dict[str, tuple[Change, tuple[int, ...]]] = {
    "RNN": ({"cell": "rnn"}, (10, 15, 20)),
    "LSTM": (FORGETS, (20, 30)),
}
"""Whose updates are compared, and at which lengths: those that they learn."""
RULES: dict[str, Change] = {
    "RMSProp": {},
    "Adam": {"optimizer": "adam"},
    "SGD": {"optimizer": "sgd", "learning_rate": 1e-2},
}
DECAYED: Change = {"lr_decay": 0.5}
UNCLIPPED: Change = {"clip": 0.0}
LONG = (75, 100)
CHANCES: dict[str, tuple[Change, tuple[int, ...]]] = {
    "10,000 steps": ({"steps": 10_000}, LONG[:1]),
    "forget bias 1": ({"bias": "forget_one"}, LONG),
    "chrono": ({"bias": "chrono"}, LONG),
    "learning rate 1e-2": ({"learning_rate": 1e-2}, LONG),
}
"""What might yet let the LSTM memorise 75 and 100 digits; twice the steps are tried at the shorter one."""
RATES = (1e-4, 1e-3, 1e-2)
PAIRS: dict[str, tuple[int, int]] = {"68,000 parameters": (255, 128), "18,000 parameters": (128, 65)}
"""Hidden units of the RNN and of the LSTM that have as many parameters."""
REPEATED: dict[str, tuple[int, ...]] = {"rnn": (10, 15, 20, 25, 30), "lstm": (20, 30, 40, 50, 75)}
"""Lengths at which neither sure success nor sure failure was expected."""
EIGHT: Change = {"repeat": 8}


def runs_of(change: Change, lengths: Iterable[int], seeds: Iterable[int]) -> list[RunConfig]:
    """Return the report's runs with a change, a run for every length and seed."""
    return [
        RunConfig(Palindrome(length), Recipe(**change), seed)
        for length, seed in product(tuple(lengths), tuple(seeds))
    ]


def initialisations(seeds: Iterable[int] = range(5)) -> Experiment:
    """Start RNN and LSTM from other weights."""
    kept = tuple(seeds)
    runs = [
        run
        for change in INITIALISATIONS.values()
        for run in runs_of(change, INITIALISED[change["cell"]], kept)
    ]
    title = "Initialisation decides what is remembered"
    return Experiment("initialisations", title, tuple(runs), ("fig-initialisations",))


def dips(seeds: Iterable[int] = range(5)) -> Experiment:
    """Add the LSTM with forget bias 1 at the lengths an RNN learns (c06)."""
    return Experiment(
        "dips", "Sudden drops, LSTM with forget bias 1", tuple(runs_of(FORGETS, SHORT, seeds)), ("c06",)
    )


def updates(seeds: Iterable[int] = range(5)) -> Experiment:
    """Train with three rules, constant and decayed rates, and RMSProp without clipping (c07)."""
    kept = tuple(seeds)
    changes = [{**rule, **decay} for rule in RULES.values() for decay in ({}, DECAYED)]
    runs = [
        run
        for base, lengths in LEARNERS.values()
        for change in (*changes, UNCLIPPED)
        for run in runs_of({**base, **change}, lengths, kept)
    ]
    return Experiment("updates", "Update rules, schedules and clipping", tuple(runs), ("c07", "fig-updates"))


def chances(seeds: Iterable[int] = range(5)) -> Experiment:
    """Give the LSTM more steps, another start or another rate at 75 and 100 digits (c13)."""
    kept = tuple(seeds)
    runs = [
        run
        for change, lengths in CHANCES.values()
        for run in runs_of({"cell": "lstm", **change}, lengths, kept)
    ]
    return Experiment("chances", "What lets the LSTM memorise 75 and 100 digits", tuple(runs), ("c13",))


def rates(seeds: Iterable[int] = range(5)) -> Experiment:
    """Train the LSTM at 75 and 100 digits with three learning rates (c14)."""
    kept = tuple(seeds)
    runs = [run for rate in RATES for run in runs_of({"cell": "lstm", "learning_rate": rate}, LONG, kept)]
    return Experiment("rates", "Learning rates at 75 and 100 digits", tuple(runs), ("c14",))


def matched_pairs(seeds: Iterable[int] = range(5)) -> Experiment:
    """Train RNNs and LSTMs with as many parameters as each other at short lengths (c16)."""
    kept = tuple(seeds)
    runs = [
        run
        for widths in PAIRS.values()
        for cell, hidden in zip(("rnn", "lstm"), widths, strict=True)
        for run in runs_of({"cell": cell, "hidden": hidden}, SHORT, kept)
    ]
    return Experiment("matched_pairs", "RNN and LSTM with equal parameters", tuple(runs), ("c16",))


def repetition(seeds: Iterable[int] = range(5)) -> Experiment:
    """Feed every batch eight times in a row at every length, beside fresh ones where it may matter (c33)."""
    kept = tuple(seeds)
    runs = [
        run
        for cell, lengths in REPEATED.items()
        for change in ({}, EIGHT)
        for run in runs_of({"cell": cell, **change}, lengths, kept)
    ]
    runs += [
        run
        for cell, lengths in REPEATED.items()
        for run in runs_of({"cell": cell, **EIGHT}, sorted({*LENGTHS} - {*lengths}), kept)
    ]
    serves = ("c33", "c04", "c05", "c08", "c12", "c15", "fig-repetition")
    return Experiment("repetition", "Batches fed eight times in a row", tuple(runs), serves)


VARIATIONS = (initialisations(), dips(), updates(), chances(), rates(), matched_pairs(), repetition())
"""Every one at the size its verdict asks for."""
