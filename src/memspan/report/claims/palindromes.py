"""The claims about palindromes: what is true of a seed, and the number shown beside it."""

from __future__ import annotations

import math
from typing import Any

from memspan.ledger import RunRecord
from memspan.report.claims.claim import LengthClaim, Trial
from memspan.study.variations import EIGHT

ACCURATE, LOW, CLOSE = 0.90, 0.30, 0.10
RNN_CAN = (5, 10, 15, 20, 25)
RNN_CANNOT = (30, 35, 40, 45, 50, 75, 100)
LSTM_CAN = (5, 10, 15, 20, 25, 30, 35, 40, 45, 50)
LSTM_CANNOT = (75, 100)
EVERY = (*LSTM_CAN, *LSTM_CANNOT)
VERY_SHORT = (5, 10)


def accurate(run: RunRecord) -> bool:
    """Return whether a run kept its budget and averaged at least 0.90 over its last 1000 steps."""
    return run.status == "finished" and run.metrics["mean_last_1000"] >= ACCURATE


def last(run: RunRecord) -> float:
    """Return the mean batch accuracy over the last 1000 steps."""
    return run.metrics["mean_last_1000"]


def gain(run: RunRecord) -> float:
    """Return how far the mean over the last 1000 steps lies above the mean over all."""
    return run.metrics["mean_last_1000"] - run.metrics["mean_all"]


def dip_rate(run: RunRecord) -> float | None:
    """Return dips per 1000 steps after *reached*; None for a run that did not reach or had no step left."""
    watched = run.metrics.get("dip_watched_steps", 0.0)
    return 1000 * run.metrics["dips"] / watched if watched else None


def reached_step(run: RunRecord) -> float:
    """Return the step of *reached*, infinite for a run that did not."""
    return run.metrics.get("reached_step", math.inf)


def _lstm_gain(trial: Trial) -> float:
    return last(trial["lstm"]) - last(trial["rnn"])


def _lstm_beats(trial: Trial) -> bool:
    small = trial["rnn"].config["length"] not in VERY_SHORT or _lstm_gain(trial) <= CLOSE
    return _lstm_gain(trial) > 0 and small


STUDY = ("palindromes", "repetition")
REPEATED: dict[str, Any] = {
    "given": {"repeat": 1},
    "again": EIGHT,
    "said": "with every batch fed eight times",
}
"""The report's data loader is believed to have done that; verdicts are given on fresh batches."""
CLAIMS = (
    LengthClaim(
        "c04",
        "The vanilla RNN reaches at least 90% accuracy on palindromes of up to 25 digits.",
        "Question 1.3",
        "True of a seed if its mean batch accuracy over the last 1000 steps is at least 0.90.",
        STUDY,
        cells=("rnn",),
        lengths=RNN_CAN,
        true_of=lambda t: accurate(t["rnn"]),
        measure=lambda t: last(t["rnn"]),
        measured="mean batch accuracy, last 1000 steps",
        **REPEATED,
    ),
    LengthClaim(
        "c05",
        "With 30 digits or more the vanilla RNN never goes above 30% accuracy.",
        "Figure 1",
        "True of a seed if no 100 steps in a row average above 0.30.",
        STUDY,
        cells=("rnn",),
        lengths=RNN_CANNOT,
        true_of=lambda t: t["rnn"].metrics["peak_100"] <= LOW,
        measure=lambda t: t["rnn"].metrics["peak_100"],
        measured="largest mean of 100 steps",
        **REPEATED,
    ),
    LengthClaim(
        "c08",
        "Up to 25 digits the vanilla RNN converges rapidly: its mean over all steps is near that at the end.",
        "Question 1.3, Figures 1b and 1c",
        "True of a seed if its mean over the last 1000 steps is at least 0.90, and within 0.10 of that"
        " over all.",
        STUDY,
        cells=("rnn",),
        lengths=RNN_CAN,
        true_of=lambda t: accurate(t["rnn"]) and abs(gain(t["rnn"])) <= CLOSE,
        measure=lambda t: gain(t["rnn"]),
        measured="mean over last 1000 steps − mean over all",
        **REPEATED,
    ),
    LengthClaim(
        "c12",
        "The LSTM reaches at least 90% accuracy on palindromes of up to 50 digits.",
        "Question 1.6",
        "True of a seed if its mean batch accuracy over the last 1000 steps is at least 0.90.",
        STUDY,
        cells=("lstm",),
        lengths=LSTM_CAN,
        true_of=lambda t: accurate(t["lstm"]),
        measure=lambda t: last(t["lstm"]),
        measured="mean batch accuracy, last 1000 steps",
        **REPEATED,
    ),
    LengthClaim(
        "c15",
        "The LSTM beats the vanilla RNN at every length, at very short ones by a small margin only.",
        "Figure 3, Question 1.6",
        "Paired by seed: true if the LSTM's mean batch accuracy over the last 1000 steps is above the RNN's,"
        " at T = 5 and 10 by at most 0.10.",
        STUDY,
        cells=("rnn", "lstm"),
        lengths=EVERY,
        true_of=_lstm_beats,
        measure=_lstm_gain,
        measured="mean over last 1000 steps, LSTM − RNN",
        **REPEATED,
    ),
)
