"""The claims about what a time gate is good for, and about how its clocks are found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from memspan.ledger import RunRecord
from memspan.report.claims.claim import Roles, SomewhereClaim, Trial, TrialClaim
from memspan.study import clocks, sensors

KEPT, MARGIN = 0.95, 0.05
"""A sensor is kept if its answer is right as often as that; a network is behind if it is so far below."""
FOUND = 0.01
"""A period is found if it ends within 1% of the planted one."""
PHASED, LSTMS = sensors.PHASED, sensors.LSTMS
"""The gate and its rivals; on two sensors with chrono's biases, the better start."""
SINES = "asynchronous sines"


def score(run: RunRecord, name: str = "accuracy") -> float:
    """Return a held-out number at the end; 0 for a run that diverged."""
    return run.metrics.get(name, 0.0)


def _networks(names: Mapping[str, Mapping[str, Any]], **shared: object) -> Roles:
    return {name: {**fields, **shared} for name, fields in names.items()}


def sensor_case(ratio: int) -> str:
    """Return what a ratio's case is called."""
    return f"one slow event for {ratio:,} fast ones"


REPORTS_CASE = sensor_case(1000)
EVENT_CASES: Mapping[str, Roles] = {
    REPORTS_CASE: _networks(sensors.ON_SENSORS, task="two_sensors", ratio=1000, steps=sensors.EVENTS.steps),
    SINES: _networks(
        sensors.NETWORKS,
        sampling="asynchronous",
        steps=sensors.PAPER.steps,
        lr_decay=sensors.PAPER.lr_decay,
    ),
}


def _lead(trial: Trial) -> float:
    """Return how far the Phased LSTM is ahead of the better LSTM: on the slow answer, or on sines."""
    name = "accuracy_1" if trial[PHASED].config["task"] == "two_sensors" else "accuracy"
    return score(trial[PHASED], name) - max(score(trial[lstm], name) for lstm in LSTMS)


def _suits_events(trial: Trial) -> bool:
    if trial[PHASED].config["task"] == "two_sensors":
        return score(trial[PHASED], "accuracy_1") >= KEPT and _lead(trial) >= MARGIN
    return _lead(trial) > 0


def _length_cases() -> Mapping[str, Roles]:
    compared = (clocks.LSTM, clocks.CHRONO, clocks.GRU)
    return {
        f"T = {length:,}, {words}": {
            "phased": digits(name, length),
            **{other: digits(other, length) for other in compared},
        }
        for length in (*clocks.LENGTHS, clocks.LONG)
        for name, words in ((clocks.UNTOLD, "T not told"), (clocks.MOVED, "random origin"))
    }


def digits(name: str, length: int) -> Mapping[str, Any]:
    """Return the config fields that tell a network's runs on palindromes of one length from all others."""
    config = clocks.palindrome(name, length, 0).recipe
    shown = ("cell", "bias", "clock_shift", "clock_window_low", "time_origin", "time_input")
    budget = ("steps", "lr_decay_steps")
    return {"length": length, **{field: getattr(config, field) for field in (*shown, *budget)}}


def _ahead(trial: Trial) -> float:
    others = [score(run) for role, run in trial.items() if role != "phased"]
    return score(trial["phased"]) - max(others)


def error(run: RunRecord) -> float:
    """Return how far a run's period ended from the planted one, relative to it."""
    return abs(run.metrics.get("period_p50_end", 0.0) / run.config["period"] - 1)


def start_case(cycles: int, away: float) -> str:
    """Return what the case of one start is called."""
    return f"N = {cycles}, δ = {100 * away:g}%"


PLANTED_CASES: Mapping[str, Roles] = {
    start_case(cycles, away): {
        "unit": {
            "cycles": cycles,
            "clock_low": round(clocks.PERIOD * (1 + away), 6),
            "steps": clocks.PLANTED.steps,
        }
    }
    for cycles in clocks.CYCLES
    for away in clocks.AWAY
}


CLAIMS = (
    TrialClaim(
        "c19",
        "The temporal gate suits asynchronous inputs: with one sensor a millisecond and one a second it keeps"
        " the slow one, which a plain LSTM loses.",
        "Question 2.2",
        "Two sensors, paired by seed: true if the Phased LSTM answers the slow sensor's question at least 95%"
        " of the time and both LSTMs, with t and with Δt as a further input, at least 0.05 less often. Sines"
        " at random times: true if its accuracy is above both LSTMs'.",
        ("two_sensors", "sines"),
        cases=EVENT_CASES,
        true_of=_suits_events,
        measure=_lead,
        measured="accuracy, Phased LSTM − better LSTM",
        steps=None,
    ),
    TrialClaim(
        "c20",
        "The temporal gate suits very long dependencies.",
        "Question 2.2",
        "Palindromes, paired by seed: true if a Phased LSTM whose clock has not been told where the first"
        " digit is ends more than 0.10 above LSTM (forget bias 1, and chrono) and GRU, which have the first"
        " step flagged. Not told: periods and shifts drawn without knowing T, or a random origin of time for"
        " every sequence.",
        ("clocks", "clocks_long"),
        cases=_length_cases(),
        true_of=lambda t: _ahead(t) > 2 * MARGIN,
        measure=_ahead,
        measured="accuracy, Phased LSTM − best of LSTMs and GRU",
        steps=None,
    ),
    SomewhereClaim(
        "c22",
        "Period, shift and open ratio can all be learned by back-propagation.",
        "Question 2.3",
        "One gated unit starts at a period (1 + δ) times the planted one, over N cycles of it: true of a seed"
        " if its period ends within 1%.",
        ("planted",),
        cases=PLANTED_CASES,
        true_of=lambda t: error(t["unit"]) < FOUND,
        measure=lambda t: error(t["unit"]),
        measured="relative error of the period at the end",
        steps=None,
        trivial=tuple(start_case(n, away) for n in clocks.CYCLES for away in clocks.AWAY if away < FOUND),
        condition="Condition: the period must start near the one to be found, the nearer the more cycles.",
    ),
)
