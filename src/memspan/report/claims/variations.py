"""Claims about what was varied, or should have been: budget, start, rate, size, seeds, repetition."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from memspan.report.claims.claim import LengthClaim, Roles, SomewhereClaim, Trial, TrialClaim
from memspan.report.claims.palindromes import (
    CLOSE,
    EVERY,
    LSTM_CANNOT,
    RNN_CAN,
    accurate,
    last,
    reached_step,
)
from memspan.report.claims.verdict import Judgement, judge
from memspan.report.records import Records
from memspan.study.variations import CHANCES, EIGHT, PAIRS, REPEATED, Change

REPORTS: Mapping[str, Any] = {
    "hidden": 128,
    "nonlinearity": "tanh",
    "init": "xavier_normal",
    "bias": "zero",
    "coding": "scalar",
    "optimizer": "rmsprop",
    "learning_rate": 1e-3,
    "lr_decay": 1.0,
    "clip": 10.0,
    "steps": 5000,
    "repeat": 1,
}
"""The fields that pick the report's own runs; a variation changes some of them."""
STEADY = 0.05
"""Two mean accuracies closer than this are in no order."""


def picked(length: int, **changed: Any) -> dict[str, Any]:
    """Return the config fields of the report's runs at one length, some of them changed."""
    return {**REPORTS, "length": length, **changed}


def has_means(trial: Trial) -> bool:
    """Return whether every run lasted long enough to have a mean; one may diverge in its first update."""
    return all("mean_last_1000" in run.metrics for run in trial.values())


def _chances() -> dict[str, Roles]:
    asked: dict[str, tuple[Change, tuple[int, ...]]] = {"": ({}, LSTM_CANNOT)}
    asked |= {f" with {name}": chance for name, chance in CHANCES.items()}
    return {
        f"T = {length}{words}": {"lstm": picked(length, cell="lstm", **change)}
        for words, (change, lengths) in asked.items()
        for length in lengths
    }


def _rates() -> dict[str, Roles]:
    def lstm(length: int, rate: float) -> dict[str, Any]:
        return picked(length, cell="lstm", learning_rate=rate)

    tenths: dict[str, Roles] = {
        f"T = {length} with a tenth": {"usual": lstm(length, 1e-3), "tenth": lstm(length, 1e-4)}
        for length in LSTM_CANNOT
    }
    return tenths | {"T = 75 with ten times": {"tenfold": lstm(75, 1e-2)}}


def _rate_matters_as_said(trial: Trial) -> bool:
    if "tenfold" in trial:
        return accurate(trial["tenfold"])
    return abs(last(trial["tenth"]) - last(trial["usual"])) <= CLOSE


def _sizes() -> dict[str, Roles]:
    pairs = {"": (128, 128)} | {f" at {name}": widths for name, widths in PAIRS.items()}
    return {
        f"T = {length}{words}": {
            "rnn": picked(length, cell="rnn", hidden=rnn),
            "lstm": picked(length, cell="lstm", hidden=lstm),
        }
        for words, (rnn, lstm) in pairs.items()
        for length in RNN_CAN
    }


def _size_is_the_reason(trial: Trial) -> bool:
    """At equal width the RNN is earlier; at equal parameters it no longer is."""
    earlier = reached_step(trial["rnn"]) < reached_step(trial["lstm"])
    equal_width = trial["rnn"].config["hidden"] == trial["lstm"].config["hidden"]
    return earlier if equal_width else not earlier


def _one_reached(trial: Trial) -> bool:
    return any(math.isfinite(reached_step(run)) for run in trial.values())


def _delay(trial: Trial) -> float | None:
    delay = reached_step(trial["lstm"]) - reached_step(trial["rnn"])
    return delay if math.isfinite(delay) else None


def _repetition() -> dict[str, Roles]:
    return {
        f"{cell.upper()} T = {length}": {
            "once": picked(length, cell=cell),
            "eight": picked(length, cell=cell, **EIGHT),
        }
        for cell, lengths in REPEATED.items()
        for length in lengths
    }


def gain(trial: Trial) -> float:
    """Return by how much the LSTM's last 1000 steps are better than the RNN's."""
    return last(trial["lstm"]) - last(trial["rnn"])


def order(difference: float) -> int:
    """Return 1 if the LSTM is ahead, −1 if the RNN is, 0 if neither."""
    return 0 if abs(difference) <= STEADY else int(math.copysign(1, difference))


@dataclass(frozen=True, kw_only=True)
class OrderClaim(LengthClaim):
    """True of a seed at a length if its pair of runs shows the order that the mean over seeds shows."""

    def _judge(self, runs: Records) -> tuple[Judgement, ...]:
        judgements = []
        for case, roles in self.roles(runs).items():
            gains = [gain(trial) for trial in self._trials(runs, roles)]
            if gains:
                shown = order(sum(gains) / len(gains))
                truths = [order(single) == shown for single in gains]
                judgements.append(judge(case, truths, self._measure(self._trials(runs, roles))))
        return tuple(judgements)


CLAIMS = (
    TrialClaim(
        "c13",
        "The LSTM cannot memorise palindromes of 75 and 100 digits.",
        "Figure 2",
        "True of a seed if its mean batch accuracy over the last 1000 steps stays below 0.90: with the"
        " report's recipe, with 10,000 steps (at 75), forget bias 1, chrono initialisation, and learning rate"
        " 1e−2.",
        ("palindromes", "chances"),
        cases=_chances(),
        applies=has_means,
        true_of=lambda t: not accurate(t["lstm"]),
        measure=lambda t: last(t["lstm"]),
        measured="mean batch accuracy, last 1000 steps",
        steps=None,
    ),
    TrialClaim(
        "c14",
        "At 75 and 100 digits a learning rate of a tenth changes nothing; ten times the rate solves 75.",
        "Question 1.6",
        "A tenth of the rate: true of a seed if the mean batch accuracy over the last 1000 steps is within"
        " 0.10 of that at 1e−3. Ten times: true if it is at least 0.90 at T = 75.",
        ("rates",),
        cases=_rates(),
        applies=has_means,
        true_of=_rate_matters_as_said,
        measure=lambda t: last(t["tenfold"]) if "tenfold" in t else last(t["tenth"]) - last(t["usual"]),
        measured="mean over the last 1000 steps; for a tenth, its difference",
    ),
    TrialClaim(
        "c16",
        "On short palindromes the vanilla RNN converges slightly faster, because it has fewer parameters.",
        "Question 1.6, Figure 3a",
        "Paired by seed at the lengths the report calls short (up to 25). At equal width: true if the RNN"
        " first reaches 0.99 on held-out palindromes at an earlier step. At equal parameters, where the"
        " reason is gone: true if it does not. A run that never reaches counts as latest.",
        ("palindromes", "matched_pairs"),
        cases=_sizes(),
        applies=_one_reached,
        true_of=_size_is_the_reason,
        measure=_delay,
        measured="steps to 0.99, LSTM − RNN, where both reached",
    ),
    OrderClaim(
        "c32",
        "One run per length shows the ordering of the cells.",
        "Questions 1.3 and 1.6",
        "True of a seed at a length if its one pair of runs shows the order, RNN ahead, LSTM ahead or within"
        " 0.05, that the mean over all seeds shows; mean batch accuracy over the last 1000 steps.",
        ("palindromes",),
        cells=("rnn", "lstm"),
        lengths=EVERY,
        applies=has_means,
        true_of=lambda t: True,
        measure=gain,
        measured="mean over last 1000 steps, LSTM − RNN",
    ),
    SomewhereClaim(
        "c33",
        "Feeding every batch eight times in a row changes the outcome.",
        "Questions 1.3 and 1.6",
        "Paired by seed: true if the mean batch accuracy over the last 1000 steps differs by more than 0.10"
        " from that with fresh batches.",
        ("repetition",),
        cases=_repetition(),
        applies=has_means,
        true_of=lambda t: abs(last(t["eight"]) - last(t["once"])) > CLOSE,
        measure=lambda t: last(t["eight"]) - last(t["once"]),
        measured="mean over last 1000 steps, eight times − fresh",
        condition="Condition: the length is one that fresh batches do not teach in every run.",
    ),
)
