"""Every claim of the report, in the order of its id; ``CLAIMS`` knows them by id."""

from memspan.report.claims import palindromes
from memspan.report.claims.claim import Claim, LengthClaim
from memspan.report.claims.verdict import Judgement, Verdict, Word, decide, judge

CLAIMS: dict[str, Claim] = {
    claim.id: claim for claim in sorted(palindromes.CLAIMS, key=lambda claim: claim.id)
}

__all__ = ["CLAIMS", "Claim", "Judgement", "LengthClaim", "Verdict", "Word", "decide", "judge"]
