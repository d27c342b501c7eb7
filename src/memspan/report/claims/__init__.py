"""Every claim of the report, in the order of its id; ``CLAIMS`` knows them by id."""

from __future__ import annotations

import importlib

from memspan.report.claims.claim import Claim, LengthClaim, SeedClaim, TrialClaim
from memspan.report.claims.identity import IdentityClaim
from memspan.report.claims.share import ShareClaim
from memspan.report.claims.verdict import Judgement, Verdict, Word, decide, judge

MODULES = ("drops", "equations", "events", "gate", "gradients", "palindromes", "saving", "text", "variations")
"""Modules of this folder with ``CLAIMS``, a tuple of ``Claim``; adding one is one line here."""


def _every() -> dict[str, Claim]:
    modules = [importlib.import_module(f"{__name__}.{name}") for name in MODULES]
    claims: list[Claim] = [claim for module in modules for claim in module.CLAIMS]
    return {claim.id: claim for claim in sorted(claims, key=lambda claim: claim.id)}


CLAIMS: dict[str, Claim] = _every()

__all__ = [
    "CLAIMS",
    "Claim",
    "IdentityClaim",
    "Judgement",
    "LengthClaim",
    "SeedClaim",
    "ShareClaim",
    "TrialClaim",
    "Verdict",
    "Word",
    "decide",
    "judge",
]
