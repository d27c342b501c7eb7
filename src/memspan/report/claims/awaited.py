"""Claims that are stated and not yet settled; each leaves this list when a module here delivers it."""

from __future__ import annotations

from dataclasses import dataclass

from memspan.report.claims.claim import Claim
from memspan.report.claims.verdict import Verdict, Word
from memspan.report.records import Measurements, Records


@dataclass(frozen=True)
class AwaitedClaim(Claim):
    """A sentence without a check so far."""

    def verdict(self, records: Records, measurements: Measurements = ()) -> Verdict:
        """Say that nothing decides it yet."""
        return Verdict(Word.NOT_RUN, "Its experiment is not written yet.")

    def told(self, verdict: Verdict) -> str:
        """Return nothing: there is no number."""
        return ""


AWAITED: tuple[AwaitedClaim, ...] = ()
