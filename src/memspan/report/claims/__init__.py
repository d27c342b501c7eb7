"""Every claim of the report, in the order of its id; ``CLAIMS`` knows them by id."""

from memspan.report.claims import gate, palindromes
from memspan.report.claims.claim import Claim, LengthClaim
from memspan.report.claims.identity import IdentityClaim
from memspan.report.claims.verdict import Judgement, Verdict, Word, decide, judge

CLAIMS: dict[str, Claim] = {
    claim.id: claim for claim in sorted((*palindromes.CLAIMS, *gate.CLAIMS), key=lambda claim: claim.id)
}

__all__ = [
    "CLAIMS",
    "Claim",
    "IdentityClaim",
    "Judgement",
    "LengthClaim",
    "Verdict",
    "Word",
    "decide",
    "judge",
]
