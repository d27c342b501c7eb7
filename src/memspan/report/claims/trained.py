"""Claims that are identities of which a training was tried out: what it comes to stands beside the error."""

from __future__ import annotations

from dataclasses import dataclass, replace

from memspan.report.claims.identity import IdentityClaim
from memspan.report.claims.verdict import Verdict
from memspan.report.numbers import filled
from memspan.report.records import Measurements, Records


@dataclass(frozen=True, kw_only=True)
class TrainedIdentityClaim(IdentityClaim):
    """An identity, and what training that takes it for true comes to.

    Args:
        training: the probe that trained; the verdict does not wait for it.
        trained: what it found, with the probe's numbers in braces.
    """

    training: str
    trained: str

    def verdict(self, records: Records, measurements: Measurements = ()) -> Verdict:
        """Judge the identity, and tell the latest training."""
        verdict = super().verdict(records, measurements)
        found = [m for m in measurements if m.config.get("probe") == self.training]
        told = filled(self.trained, found[-1].values) if found else "What training with it does: not yet run."
        return verdict if verdict.is_preview else replace(verdict, detail=f"{verdict.detail} {told}")
