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


AWAITED = (
    AwaitedClaim("c21", "Sparse activation saves computation.", "Question 2.2", "", ()),
    AwaitedClaim(
        "c24",
        "Samples become expressive and free of errors; sentences are good by step 500.",
        "Question 3.1b",
        "",
        (),
    ),
    AwaitedClaim("c25", "Samples are varied and show no word loops.", "Question 3.1b", "", ()),
    AwaitedClaim(
        "c26", "The network can undo a temperature by scaling its last layer.", "Question 3.1c", "", ()
    ),
    AwaitedClaim("c27", "Experiments contradict that it does.", "Question 3.1c", "", ()),
    AwaitedClaim(
        "c28",
        "A higher training temperature gives other samples, not clearly worse; D overuses newlines.",
        "Question 3.1c",
        "",
        (),
    ),
    AwaitedClaim("c29", "With a long prompt the temperature matters little.", "Question 3.2", "", ()),
    AwaitedClaim("c30", "A temperature used only at sampling would matter more.", "Question 3.2", "", ()),
    AwaitedClaim(
        "c31",
        "The small corpus is overfitted, which may be why the temperature matters little.",
        "Question 3.2",
        "",
        (),
    ),
    AwaitedClaim(
        "c36", "LogSoftmax with the negative log-likelihood prevents underflow.", "Question 3.1a", "", ()
    ),
    AwaitedClaim("c37", "Dropout makes features redundant.", "Question 3.1a", "", ()),
    AwaitedClaim(
        "c38",
        "While a gate is closed, context and hidden state are copied unmodified.",
        "Question 2.2",
        "",
        (),
    ),
)
