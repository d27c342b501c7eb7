"""Events in time: two sensors, one of them slow, and the frequency of sines."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from itertools import product
from typing import Any

from memspan.config import Recipe, RunConfig
from memspan.study.experiment import Experiment
from memspan.tasks.sines import Sampling, Sines
from memspan.tasks.two_sensors import TwoSensors

NETWORKS: Mapping[str, Mapping[str, Any]] = {
    "Phased LSTM": {"cell": "phased_lstm", "time_input": "none"},
    "LSTM with t": {"cell": "lstm", "time_input": "time"},
    "LSTM with Δt": {"cell": "lstm", "time_input": "delta"},
    "GRU with t": {"cell": "gru", "time_input": "time"},
    "GRU with Δt": {"cell": "gru", "time_input": "delta"},
}
"""Name → the recipe's fields in which the networks differ."""
PHASED, LSTMS, GRUS = "Phased LSTM", ("LSTM with t", "LSTM with Δt"), ("GRU with t", "GRU with Δt")
USUAL = "LSTM with Δt, forget bias 1"
ON_SENSORS: Mapping[str, Mapping[str, Any]] = {
    **{
        name: {**fields, "bias": "chrono" if "lstm" in fields["cell"] else "zero"}
        for name, fields in NETWORKS.items()
    },
    USUAL: {**NETWORKS["LSTM with Δt"], "bias": "forget_one"},
}
"""The same on two sensors: LSTMs begin with long memories, one with the usual forget bias beside them."""
RATIOS = (10, 100, 1000)
SAMPLINGS: tuple[Sampling, ...] = ("standard", "asynchronous")
SEEDS = range(5)

EVENTS = Recipe(
    hidden=64,
    batch=32,
    optimizer="adam",
    learning_rate=3e-3,
    lr_decay=0.3,
    lr_decay_steps=1000,
    steps=2500,
    leak=0.0,
    clock_low=1.0,
    clock_ratio=0.2,
    evaluation_size=512,
)
"""What all networks on two sensors share; periods reach to six slow ones."""
PAPER = Recipe(hidden=110, batch=32, optimizer="adam", steps=10_937, evaluate_every=500)
"""The recipe of Neil, Pfeiffer & Liu (2016) for sines: 70 epochs of 5,000 fresh sequences."""
FALLING: Mapping[str, Any] = {"learning_rate": 3e-3, "lr_decay": 0.3}
SETTLED = dataclasses.replace(PAPER, **FALLING, lr_decay_steps=3000, clock_ratio=0.2)
"""The same under a rate that falls, and with longer openings: of 15 … 125 points at random times a unit that
is open a twentieth of its period sees few."""
FINE = dataclasses.replace(PAPER, **FALLING, lr_decay_steps=1000, steps=3125)
"""20 of the paper's epochs, for sequences ten times as long."""


def two_sensors(ratios: Iterable[int] = RATIOS, seeds: Iterable[int] = SEEDS, **recipe: Any) -> Experiment:
    """Return every network on two sensors at some ratios (c19)."""
    runs = [
        RunConfig(TwoSensors(ratio), _events(ratio, name, recipe), seed)
        for ratio, name, seed in product(ratios, ON_SENSORS, tuple(seeds))
    ]
    return Experiment(
        "two_sensors", "Two sensors, one of them slow", tuple(runs), ("c19", "fig-two-sensors", "fig-spread")
    )


def _events(ratio: int, name: str, recipe: Mapping[str, Any]) -> Recipe:
    """Return a network's recipe at one ratio."""
    return dataclasses.replace(EVENTS, clock_high=6.0 * ratio, **{**ON_SENSORS[name], **recipe})


def sines(seeds: Iterable[int] = SEEDS) -> Experiment:
    """Return on a grid the networks that suit it, at random times all of them (c19)."""
    asked: dict[Sampling, Iterable[str]] = {"standard": suited("standard"), "asynchronous": NETWORKS}
    runs = [run for sampling, names in asked.items() for run in _sines(sampling, PAPER, seeds, names)]
    title = "Frequency of sines, on a grid and at random times"
    return Experiment("sines", title, tuple(runs), ("c19", "fig-sines", "fig-spread"))


def sines_settled(seeds: Iterable[int] = SEEDS) -> Experiment:
    """Return the gate, and LSTM and GRU with the input that suits the sampling, under a falling rate."""
    runs = [run for sampling in SAMPLINGS for run in _sines(sampling, SETTLED, seeds, suited(sampling))]
    title = "Frequency of sines, under a rate that falls"
    return Experiment("sines_settled", title, tuple(runs), ("fig-sines",))


def sines_fine(seeds: Iterable[int] = SEEDS) -> Experiment:
    """Return the same on sines sampled ten times as often, for fewer updates."""
    runs = _sines("fine", FINE, seeds, suited("fine"))
    return Experiment(
        "sines_fine", "Frequency of sines, finely sampled", tuple(runs), ("fig-sines", "fig-spread")
    )


def suited(sampling: Sampling) -> tuple[str, str, str]:
    """Return the gate, LSTM and GRU, told the time in the way that suits; on a grid Δt never changes."""
    told = "Δt" if sampling == "asynchronous" else "t"
    return PHASED, f"LSTM with {told}", f"GRU with {told}"


def _sines(sampling: Sampling, recipe: Recipe, seeds: Iterable[int], names: Iterable[str]) -> list[RunConfig]:
    return [
        RunConfig(Sines(sampling), dataclasses.replace(recipe, **NETWORKS[name]), seed)
        for name, seed in product(names, tuple(seeds))
    ]
