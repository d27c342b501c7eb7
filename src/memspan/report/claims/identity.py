"""Claims that are identities: settled by one number, the largest relative error over random cases."""

from __future__ import annotations

from dataclasses import dataclass

from memspan.report.claims.claim import Claim
from memspan.report.claims.verdict import Verdict, Word
from memspan.report.numbers import filled, scientific
from memspan.report.records import Measurements, Records


@dataclass(frozen=True)
class IdentityClaim(Claim):
    """A sentence that is an identity: it holds if its two sides agree in every case, up to rounding.

    A sentence of several parts holds under conditions where only some of them agree.

    Args:
        probe: whose measurement settles it.
        number: which of its numbers is the largest relative error of what the report says.
        detail: why, with the probe's numbers in braces.
        limit: the largest error that rounding explains.
        besides: errors of the sentence's other parts.
    """

    probe: str
    number: str
    detail: str
    limit: float = 1e-9
    besides: tuple[str, ...] = ()

    def verdict(self, records: Records, measurements: Measurements = ()) -> Verdict:
        """Judge the latest measurement of the probe."""
        found = [m for m in measurements if m.config.get("probe") == self.probe]
        if not found:
            return Verdict(Word.NOT_RUN, "Not measured yet.")
        values, cases = found[-1].values, int(found[-1].values.get("cases", found[-1].config["cases"]))
        agree = {values[name] <= self.limit for name in (self.number, *self.besides)}
        word = Word.CONDITIONS if len(agree) == 2 else Word.HOLDS if True in agree else Word.FAILS
        detail = filled(self.detail, values)
        return Verdict(word, detail, value=values[self.number], n=cases)

    def told(self, verdict: Verdict) -> str:
        """Return the error and the number of cases."""
        return f"largest relative error {scientific(verdict.value)} over {verdict.n:,} random cases"
