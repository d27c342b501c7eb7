"""What a claim is: a sentence of the report with a check; most are true or false of each seed."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from memspan.ledger import RunRecord
from memspan.report.claims.verdict import Judgement, Verdict, Word, beside, decide, judge
from memspan.report.numbers import between
from memspan.report.records import Measurements, Records, by_seed, ended, joined, values, where
from memspan.statistics import Interval, bootstrap_interval

Trial = Mapping[str, RunRecord]
"""The runs of one seed in one case, by role; the role is the cell where a claim compares cells."""
Roles = Mapping[str, Mapping[str, Any]]
"""Role → the config fields that pick its runs, for instance ``{"lstm": {"cell": "lstm", "length": 20}}``."""


@dataclass(frozen=True)
class Claim(abc.ABC):
    """A sentence of the report with the check that settles it.

    Args:
        id: its stable name, ``"c04"``.
        sentence: what is claimed, in our words.
        source: where the report says so.
        check: how it is settled, in a sentence.
        experiments: ids of the experiments it rests on; each of them lists the claim under ``serves``.
    """

    id: str
    sentence: str
    source: str
    check: str
    experiments: tuple[str, ...]

    @abc.abstractmethod
    def verdict(self, records: Records, measurements: Measurements = ()) -> Verdict:
        """Return the verdict that a table of runs and the measurements of probes allow."""

    @abc.abstractmethod
    def told(self, verdict: Verdict) -> str:
        """Return the number a verdict rests on, in words."""


@dataclass(frozen=True, kw_only=True)
class SeedClaim(Claim):
    """A sentence that is true or false of each seed, in one case or several, judged by the share of seeds.

    Args:
        true_of: whether the sentence is true of one trial.
        applies: whether a trial bears on the sentence at all.
        measure: the number beside it, for one trial; None for a trial without one.
        measured: what that number is, for people.
        unsettled: what these runs cannot settle; with it a claim can at best hold under conditions.
        steps: the budget it speaks of; smaller runs give a preview. None where the cases say it.
        probe: a probe of trained runs; its numbers join each run's metrics, runs without them are left out.
    """

    kind: ClassVar[str] = "case"
    true_of: Callable[[Trial], bool]
    applies: Callable[[Trial], bool] = lambda trial: True
    measure: Callable[[Trial], float | None] = lambda trial: None
    measured: str = ""
    unsettled: str = ""
    steps: int | None = 5000
    probe: str = ""

    @abc.abstractmethod
    def roles(self, runs: Records) -> Mapping[str, Roles]:
        """Return case → roles, in the order they are shown."""

    @property
    def named(self) -> tuple[str, ...]:
        """The cases the sentence names; none means every case at which trials apply."""
        return ()

    def told(self, verdict: Verdict) -> str:
        """Return of how many seeds the sentence is true in the weakest case."""
        v = verdict
        count = f"{round((v.value or 0) * (v.n or 0))} of {v.n} seeds at the weakest {self.kind}, {v.weakest}"
        return f"{count}; 95% interval {between(v.low, v.high)}"

    def verdict(self, records: Records, measurements: Measurements = ()) -> Verdict:
        """Judge the runs that have the claim's budget; if there are none, preview those that have not."""
        runs = joined(ended(records), measurements, self.probe)
        due = [run for run in runs if self.steps in (None, run.config["steps"])]
        judgements = self._judge(due)
        if due and judgements:
            return decide(judgements, self.named, self.unsettled)
        if due:
            return Verdict(Word.NOT_RUN, "No runs that bear on it yet.")
        budgets = sorted({run.config["steps"] for run in runs})
        reason = (
            f"A budget of {budgets[-1]} steps; the claim speaks of {self.steps}."
            if budgets
            else "No runs yet."
        )
        return Verdict(Word.NOT_RUN, reason, judgements=self._judge(runs))

    def _judge(self, runs: Records) -> tuple[Judgement, ...]:
        judgements = []
        for case, roles in self.roles(runs).items():
            trials = self._trials(runs, roles)
            if trials:
                judgements.append(judge(case, [self.true_of(t) for t in trials], self._measure(trials)))
        return tuple(judgements)

    def _trials(self, runs: Records, roles: Roles) -> list[Trial]:
        """Return the trials of one case that apply: all roles present at one seed."""
        seeds = {role: by_seed(where(runs, **fields)) for role, fields in roles.items()}
        shared = sorted(set.intersection(*(set(of) for of in seeds.values())))
        trials = [{role: seeds[role][seed] for role in roles} for seed in shared]
        return [trial for trial in trials if self.applies(trial)]

    def _measure(self, trials: list[Trial]) -> Interval | None:
        numbers = [number for trial in trials if (number := self.measure(trial)) is not None]
        return bootstrap_interval(numbers) if numbers else None


@dataclass(frozen=True, kw_only=True)
class TrialClaim(SeedClaim):
    """A sentence about named cases, for instance learning rates.

    Args:
        cases: case → role → the config fields that pick the role's runs.
    """

    cases: Mapping[str, Roles]

    def roles(self, runs: Records) -> Mapping[str, Roles]:
        """Return the cases as they were given."""
        return self.cases

    @property
    def named(self) -> tuple[str, ...]:
        """Every case."""
        return tuple(self.cases)


@dataclass(frozen=True, kw_only=True)
class SomewhereClaim(TrialClaim):
    """A sentence that something *can* be, or happens: false in one case, it may still be true in another.

    It holds if true in every case, does not if in none but those that are so already, and otherwise holds
    under a condition.

    Args:
        trivial: the cases in which it is so already.
        condition: what is then said, ahead of the cases.
    """

    trivial: tuple[str, ...] = ()
    condition: str = ""

    def verdict(self, records: Records, measurements: Measurements = ()) -> Verdict:
        """Judge every case by itself; a false one does not refute the others."""
        v = super().verdict(records, measurements)
        if v.word is not Word.FAILS:
            return v
        findings = {j.case: j.finding for j in v.judgements}
        if set(self.named) - set(findings) or "too few" in findings.values():
            return Verdict(Word.NOT_RUN, v.detail, judgements=v.judgements)
        if not any(f == "true" for case, f in findings.items() if case not in self.trivial):
            return v
        return replace(v, word=Word.CONDITIONS, detail=f"{self.condition} {v.detail}")


@dataclass(frozen=True, kw_only=True)
class LengthClaim(SeedClaim):
    """A sentence about lengths.

    Args:
        cells: whose runs a trial holds; runs of several cells pair by seed.
        lengths: the lengths it names; none means every length at which trials apply.
        given: further config fields that all of its runs share.
        again: fields under which the sentence is judged once more, beside the first time; where the two
            disagree it holds under conditions.
        said: what those fields are, for people.
    """

    kind: ClassVar[str] = "length"
    cells: tuple[str, ...]
    lengths: tuple[int, ...] = ()
    given: Mapping[str, Any] = field(default_factory=dict)
    again: Mapping[str, Any] = field(default_factory=dict)
    said: str = ""

    def verdict(self, records: Records, measurements: Measurements = ()) -> Verdict:
        """Judge the runs, and once more those under ``again``."""
        first = super().verdict(records, measurements)
        if not self.again:
            return first
        once_more = replace(self, given={**self.given, **self.again}, again={})
        return beside(first, once_more.verdict(records, measurements), self.said)

    def roles(self, runs: Records) -> Mapping[str, Roles]:
        """Return a case for each length."""
        return {
            at(length): {cell: {"cell": cell, "length": length, **self.given} for cell in self.cells}
            for length in self.lengths or values(runs, "length")
        }

    @property
    def named(self) -> tuple[str, ...]:
        """The lengths it names."""
        return tuple(map(at, self.lengths))


def at(length: int) -> str:
    """Return the case of one length."""
    return f"T = {length}"
