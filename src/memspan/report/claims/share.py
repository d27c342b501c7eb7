"""Claims about random cases that are no identities: a sentence is true or false of each case."""

from __future__ import annotations

from dataclasses import dataclass, replace

from memspan.report.claims.claim import Claim
from memspan.report.claims.verdict import Verdict, Word, decide, judge
from memspan.report.numbers import between, filled
from memspan.report.records import Measurements, Records


@dataclass(frozen=True)
class ShareClaim(Claim):
    """A sentence about random cases, judged by the share of them for which it is true.

    Args:
        probe: whose measurement counts the cases.
        true_cases: which of its numbers says for how many of ``cases`` the sentence is true.
        detail: why, with the probe's numbers in braces.
    """

    probe: str
    true_cases: str
    detail: str

    def verdict(self, records: Records, measurements: Measurements = ()) -> Verdict:
        """Judge the latest measurement of the probe."""
        found = [m for m in measurements if m.config.get("probe") == self.probe]
        if not found:
            return Verdict(Word.NOT_RUN, "Not measured yet.")
        values = found[-1].values
        true, cases = int(values[self.true_cases]), int(values["cases"])
        v = decide([judge("random cases", [True] * true + [False] * (cases - true))], ["random cases"])
        return replace(v, detail=filled(self.detail, values))

    def told(self, verdict: Verdict) -> str:
        """Return of how many cases the sentence is true."""
        v = verdict
        true = round((v.value or 0) * (v.n or 0))
        return f"{true} of {v.n} random cases; 95% interval {between(v.low, v.high)}"
