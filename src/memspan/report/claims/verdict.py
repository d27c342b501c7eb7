"""What can be said of a claim, and the one rule that decides it (``docs/decisions/004-verdicts.md``)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from memspan.statistics import Interval, wilson

SEEDS = (5, 10, 20)
"""Seeds before the rule speaks; then while it is open; then at most."""


class Word(StrEnum):
    """The four verdicts."""

    HOLDS = "holds"
    CONDITIONS = "holds under conditions"
    FAILS = "does not hold"
    NOT_RUN = "not yet run"


@dataclass(frozen=True)
class Judgement:
    """One length: the share of seeds for which the sentence is true, and a number to see beside it.

    Args:
        length: palindrome length T.
        share: share of seeds with its 95% Wilson interval; its n is the number of seeds.
        measure: the number the sentence is about, over the same seeds; None where there is none.
    """

    length: int
    share: Interval
    measure: Interval | None = None

    @property
    def finding(self) -> str:
        """``"true"``, ``"false"``, ``"open"``, or ``"too few"`` seeds to ask the rule at all."""
        assert self.share.low is not None
        assert self.share.high is not None
        if self.share.n < SEEDS[0]:
            return "too few"
        if self.share.low > 0.5:
            return "true"
        return "false" if self.share.high < 0.5 else "open"


@dataclass(frozen=True)
class Verdict:
    """A word, the number of the weakest length it rests on, and why.

    Args:
        word: one of the four.
        detail: a sentence: at which lengths true, false, open; what is missing.
        value, low, high, n: share of seeds at the weakest length, interval, seeds; None if not yet run.
        weakest: that length.
        judgements: every length there are runs for. Where the word is *not yet run* they are a preview.
    """

    word: Word
    detail: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    weakest: int | None = None
    judgements: tuple[Judgement, ...] = ()

    @property
    def is_preview(self) -> bool:
        """True if the numbers are shown but decide nothing."""
        return self.word is Word.NOT_RUN

    @property
    def seeds_wanted(self) -> int | None:
        """How many seeds the rule asks for next; None if nothing is open or the most are in."""
        undecided = [j.share.n for j in self.judgements if j.finding in ("open", "too few")]
        if self.word is Word.NOT_RUN and not undecided:
            return SEEDS[0]
        return next((n for n in SEEDS if undecided and n > min(undecided)), None)


def judge(length: int, truths: Sequence[bool], measure: Interval | None = None) -> Judgement:
    """Judge a sentence at one length from its truth for every seed."""
    return Judgement(length, wilson(sum(truths), len(truths)), measure)


def decide(judgements: Sequence[Judgement], lengths: Sequence[int], unsettled: str = "") -> Verdict:
    """Turn judgements into a verdict.

    Args:
        judgements: one a length, from runs with the budget the claim speaks of.
        lengths: every length the claim names; if it names none, those with too few seeds are passed over
            as long as one has enough.
        unsettled: what these runs cannot settle; with it a claim can at best hold under conditions.

    Returns:
        *does not hold* if false at one length, even if others are missing; *not yet run* if a length is
        missing or has fewer than five seeds; *holds* if true at every length; else *holds under conditions*.
    """
    found = {finding: [j for j in judgements if j.finding == finding] for finding in FINDINGS}
    missing = sorted(set(lengths) - {j.length for j in judgements})
    detail = _detail(found, missing)
    if found["false"]:
        return _with_weakest(Word.FAILS, detail, judgements)
    passed_over = not lengths and len(found["too few"]) < len(judgements)
    if missing or (found["too few"] and not passed_over):
        return Verdict(Word.NOT_RUN, detail, judgements=tuple(judgements))
    if found["open"] or unsettled:
        return _with_weakest(Word.CONDITIONS, f"{detail} {unsettled}".strip(), judgements)
    return _with_weakest(Word.HOLDS, detail, judgements)


FINDINGS = {
    "true": "True at T = {}.",
    "false": "False at T = {}.",
    "open": "Open at T = {}: the interval spans one half.",
    "too few": f"Fewer than {SEEDS[0]} seeds at T = {{}}.",
}


def _detail(found: dict[str, list[Judgement]], missing: Sequence[int]) -> str:
    parts = [
        FINDINGS[finding].format(_listed([j.length for j in members]))
        for finding, members in found.items()
        if members
    ]
    if missing:
        parts.append(f"No runs at T = {_listed(missing)}.")
    return " ".join(parts)


def _listed(lengths: Sequence[int]) -> str:
    return ", ".join(str(length) for length in lengths)


def _with_weakest(word: Word, detail: str, judgements: Sequence[Judgement]) -> Verdict:
    decisive = [j for j in judgements if j.finding != "too few"]
    weakest = min(decisive, key=lambda j: (j.finding != "false", j.share.low, j.length))
    share = weakest.share
    return Verdict(
        word, detail, share.value, share.low, share.high, share.n, weakest.length, tuple(judgements)
    )
