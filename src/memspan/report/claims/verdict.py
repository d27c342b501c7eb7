"""What can be said of a claim, and the one rule that decides it (``docs/decisions/004-verdicts.md``)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
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
    """One case: the share of seeds for which the sentence is true, and a number to see beside it.

    Args:
        case: what was looked at, ``"T = 20"`` where a claim is about lengths.
        share: share of seeds with its 95% Wilson interval; its n is the number of seeds.
        measure: the number the sentence is about, over the same seeds; None where there is none.
    """

    case: str
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
    """A word, the number of the weakest case it rests on, and why.

    Args:
        word: one of the four.
        detail: a sentence: where true, false, open; what is missing.
        value, low, high, n: share of seeds in the weakest case, interval, seeds; None if not yet run.
        weakest: that case.
        judgements: every case there are runs for. Where the word is *not yet run* they are a preview.
    """

    word: Word
    detail: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    weakest: str | None = None
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


def judge(case: str, truths: Sequence[bool], measure: Interval | None = None) -> Judgement:
    """Judge a sentence in one case from its truth for every seed."""
    return Judgement(case, wilson(sum(truths), len(truths)), measure)


def decide(judgements: Sequence[Judgement], named: Sequence[str], unsettled: str = "") -> Verdict:
    """Turn judgements into a verdict.

    Args:
        judgements: one a case, from runs with the budget the claim speaks of.
        named: every case the claim names; if it names none, those with too few seeds are passed over
            as long as one has enough.
        unsettled: what these runs cannot settle; with it a claim can at best hold under conditions.

    Returns:
        *does not hold* if false in one case, even if others are missing; *not yet run* if a case is
        missing or has fewer than five seeds; *holds* if true in every case; else *holds under conditions*.
    """
    found = {finding: [j for j in judgements if j.finding == finding] for finding in FINDINGS}
    judged = {j.case for j in judgements}
    missing = [case for case in named if case not in judged]
    detail = _detail(found, missing)
    if found["false"]:
        return _with_weakest(Word.FAILS, detail, judgements)
    passed_over = not named and len(found["too few"]) < len(judgements)
    if missing or (found["too few"] and not passed_over):
        return Verdict(Word.NOT_RUN, detail, judgements=tuple(judgements))
    if found["open"] or unsettled:
        return _with_weakest(Word.CONDITIONS, f"{detail} {unsettled}".strip(), judgements)
    return _with_weakest(Word.HOLDS, detail, judgements)


def beside(first: Verdict, again: Verdict, said: str) -> Verdict:
    """Put what was found under other circumstances beside a verdict.

    Args:
        first: the verdict; its number and weakest case stay.
        again: the same sentence's under the circumstances.
        said: what they are, ``"with every batch fed eight times"``.

    Returns:
        *holds under conditions* where both are judged and their words differ; ``first`` where nothing was
        run under the circumstances.
    """
    if not again.judgements:
        return first
    differ = Word.NOT_RUN not in (first.word, again.word) and first.word is not again.word
    cases = tuple(replace(j, case=f"{j.case}, {said}") for j in again.judgements)
    return replace(
        first,
        word=Word.CONDITIONS if differ else first.word,
        detail=f"{first.detail} {said[:1].upper()}{said[1:]}: {again.word}. {again.detail}",
        judgements=first.judgements + cases,
    )


FINDINGS = {
    "true": "True at {}.",
    "false": "False at {}.",
    "open": "Open at {}: the interval spans one half.",
    "too few": f"Fewer than {SEEDS[0]} seeds at {{}}.",
}


def _detail(found: dict[str, list[Judgement]], missing: Sequence[str]) -> str:
    parts = [
        FINDINGS[finding].format(_listed([j.case for j in members]))
        for finding, members in found.items()
        if members
    ]
    if missing:
        parts.append(f"No runs at {_listed(missing)}.")
    return " ".join(parts)


def _listed(cases: Sequence[str]) -> str:
    """Return cases in a row; lengths say "T = " once, names that hold commas are parted by semicolons."""
    if all(case.startswith("T = ") for case in cases):
        return "T = " + ", ".join(case.removeprefix("T = ") for case in cases)
    return ("; " if any("," in case for case in cases) else ", ").join(cases)


def _with_weakest(word: Word, detail: str, judgements: Sequence[Judgement]) -> Verdict:
    decisive = [j for j in judgements if j.finding != "too few"]
    weakest = min(decisive, key=lambda j: (j.finding != "false", j.share.low))  # the first of equals
    share = weakest.share
    return Verdict(word, detail, share.value, share.low, share.high, share.n, weakest.case, tuple(judgements))
