"""What a claim is: a sentence of the report with a check, and the commonest kind, one about lengths."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from memspan.ledger import RunRecord
from memspan.report.claims.verdict import Judgement, Verdict, Word, decide, judge
from memspan.report.numbers import between
from memspan.report.records import Measurements, Records, by_seed, ended, values, where
from memspan.statistics import Interval, bootstrap_interval

Trial = Mapping[str, RunRecord]
"""The runs of one seed at one length, by cell."""


@dataclass(frozen=True)
class Claim(abc.ABC):
    """A sentence of the report with the check that settles it.

    Args:
        id: its stable name, ``"c04"``.
        sentence: what is claimed, in our words.
        source: where the report says so.
        check: how it is settled, in a sentence.
        experiments: ids of the experiments it needs.
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


@dataclass(frozen=True)
class LengthClaim(Claim):
    """A sentence about lengths: true or false of each seed at each length, judged by the share of seeds.

    Args:
        cells: whose runs a trial holds; runs of several cells pair by seed.
        true_of: whether the sentence is true of one trial.
        lengths: the lengths it names; none means every length at which trials apply.
        applies: whether a trial bears on the sentence at all.
        measure: the number beside it, for one trial; None for a trial without one.
        measured: what that number is, for people.
        unsettled: what runs of these cells alone cannot settle.
        steps: the budget it speaks of; smaller runs give a preview.
    """

    cells: tuple[str, ...]
    true_of: Callable[[Trial], bool]
    lengths: tuple[int, ...] = ()
    applies: Callable[[Trial], bool] = lambda trial: True
    measure: Callable[[Trial], float | None] = lambda trial: None
    measured: str = ""
    unsettled: str = ""
    steps: int = 5000

    def told(self, verdict: Verdict) -> str:
        """Return at how many seeds of the weakest length the sentence is true."""
        v = verdict
        counted = (
            f"{round((v.value or 0) * (v.n or 0))} of {v.n} seeds at the weakest length, T = {v.weakest}"
        )
        return f"{counted}; 95% interval {between(v.low, v.high)}"

    def verdict(self, records: Records, measurements: Measurements = ()) -> Verdict:
        """Judge the runs that have the claim's budget; if there are none, preview those that have not."""
        runs = ended(records)
        due = [run for run in runs if run.config["steps"] == self.steps]
        judgements = self._judge(due)
        if due and judgements:
            return decide(judgements, self.lengths, self.unsettled)
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
        for length in self.lengths or values(runs, "length"):
            trials = self._trials(where(runs, length=length))
            if trials:
                judgements.append(judge(length, [self.true_of(t) for t in trials], self._measure(trials)))
        return tuple(judgements)

    def _trials(self, runs: Records) -> list[Trial]:
        """Return the trials of one length that apply: all cells present at one seed."""
        seeds = {cell: by_seed(where(runs, cell=cell)) for cell in self.cells}
        shared = sorted(set.intersection(*(set(of) for of in seeds.values())))
        trials = [{cell: seeds[cell][seed] for cell in self.cells} for seed in shared]
        return [trial for trial in trials if self.applies(trial)]

    def _measure(self, trials: list[Trial]) -> Interval | None:
        numbers = [number for trial in trials if (number := self.measure(trial)) is not None]
        return bootstrap_interval(numbers) if numbers else None
