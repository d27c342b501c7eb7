"""Claims about sudden drops: which cell has more of them, and what they come from."""

from __future__ import annotations

from dataclasses import dataclass

from memspan.ledger import RunRecord
from memspan.report.claims.claim import Roles, Trial, TrialClaim
from memspan.report.claims.palindromes import RNN_CAN, dip_rate
from memspan.report.claims.variations import picked
from memspan.study.variations import LEARNERS, RULES, UNCLIPPED


@dataclass(frozen=True, kw_only=True)
class AnyCaseClaim(TrialClaim):
    """A sentence about cases that need not all apply: one with too few trials is passed over."""

    @property
    def named(self) -> tuple[str, ...]:
        """No case has to be there."""
        return ()


def dips_more(a: RunRecord, b: RunRecord) -> bool | None:
    """Return whether run a dips more often after it reached than run b, or diverged; None if unknown."""
    if a.status == "stopped" or b.status == "stopped":
        return a.status == "stopped" and b.status != "stopped"
    rates = dip_rate(a), dip_rate(b)
    return None if rates[0] is None or rates[1] is None else rates[0] > rates[1]


def _more(trial: Trial) -> bool | None:
    suspect, other = trial.values()
    return dips_more(suspect, other)


def _rate_difference(trial: Trial) -> float | None:
    rates = [dip_rate(run) for run in trial.values()]
    return None if rates[0] is None or rates[1] is None else rates[0] - rates[1]


def _sudden_drops() -> dict[str, Roles]:
    """Return the cases of c06: an RNN beside an LSTM, with zero and with unit forget bias."""
    return {
        f"T = {length}{words}": {
            "rnn": picked(length, cell="rnn"),
            "lstm": picked(length, cell="lstm", bias=bias),
        }
        for bias, words in (("zero", ""), ("forget_one", ", forget bias 1"))
        for length in RNN_CAN
    }


def _rules() -> dict[str, Roles]:
    """Return the cases of c07: RMSProp beside each other rule, and RMSProp without clipping beside it."""
    cases: dict[str, Roles] = {}
    for name, (base, lengths) in LEARNERS.items():
        for length in lengths:
            usual = picked(length, **base)
            for rule in ("Adam", "SGD"):
                other = usual | dict(RULES[rule])
                cases[f"{name} T = {length} beside {rule}"] = {"suspect": usual, "other": other}
            unclipped = usual | dict(UNCLIPPED)
            cases[f"{name} T = {length} without clipping"] = {"suspect": unclipped, "other": usual}
    return cases


CLAIMS = (
    AnyCaseClaim(
        "c06",
        "Models that have converged suffer sudden drops in accuracy, the LSTM fewer than the RNN.",
        "Questions 1.3 and 1.6",
        "At lengths both cells reach, true of a seed if the RNN dips more often per 1000 steps after it first"
        " reached 0.99 than the LSTM does, with zero and with unit forget bias.",
        ("palindromes", "dips"),
        cases=_sudden_drops(),
        applies=lambda t: _more(t) is not None,
        true_of=lambda t: bool(_more(t)),
        measure=_rate_difference,
        measured="dips per 1000 steps, RNN − LSTM",
    ),
    AnyCaseClaim(
        "c07",
        "The sudden drops are due to RMSProp; clipping prevents erratic updates.",
        "Question 1.3",
        "True of a seed if RMSProp dips more often per 1000 steps after *reached* than another rule, and"
        " without clipping more often than with it; a run that diverged counts as worse.",
        ("updates",),
        cases=_rules(),
        applies=lambda t: _more(t) is not None,
        true_of=lambda t: bool(_more(t)),
        measure=_rate_difference,
        measured="dips per 1000 steps, the suspect − the other",
    ),
)
