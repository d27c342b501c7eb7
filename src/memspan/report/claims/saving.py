"""The claim about time saved, settled by ``memspan bench gate --ledger``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from memspan.report.claims.claim import Claim
from memspan.report.claims.verdict import Verdict, Word
from memspan.report.numbers import between, number
from memspan.report.records import Measurements, Records

BENCH, OPEN, PLAIN = "gate", "open units only", "no gate"
PASSES = ("training", "forward")
SPARSE = 0.5
"""The largest open share that the claim calls sparse."""
SHOWN = 0.05
"""The open share whose speed-up is the verdict's number."""

Times = dict[tuple[str, float], dict[str, float]]
"""(pass, open ratio) → side → µs a step."""


def latest(measurements: Measurements) -> list[Any]:
    """Return the latest valid row of every side at every point, all of the setting that was timed last."""
    rows = [m for m in measurements if m.config.get("bench") == BENCH and m.config["what"] in PASSES]
    rows = [m for m in rows if m.values.get("equal") and m.values.get("us_per_step")]
    rows = [m for m in rows if _setting(m) == _setting(rows[-1])]
    return list({(m.config["what"], m.config["share"], m.config["side"]): m for m in rows}.values())


def _setting(m: Any) -> tuple[Any, ...]:
    """Return machine, sizes and threads: only what shares them can be compared."""
    return (m.machine, *(m.config.get(name) for name in ("T", "B", "H", "threads")))


def times(measurements: Measurements) -> Times:
    """Return the time of a step for every pass, open ratio and side."""
    found: Times = {}
    for m in latest(measurements):
        found.setdefault((m.config["what"], m.config["share"]), {})[m.config["side"]] = m.values[
            "us_per_step"
        ]
    return found


@dataclass(frozen=True)
class SavingClaim(Claim):
    """Sparse activation saves time: a step that computes open units only takes less than one without a gate.

    True of an open share if it does so in training and in the forward pass alone. *Does not hold* if it is
    false at every sparse share measured; *holds under conditions* else, as the sparse path asks for leak 0.
    """

    def verdict(self, records: Records, measurements: Measurements = ()) -> Verdict:
        """Judge the latest timings of one machine."""
        ratios = {
            point: sides[PLAIN] / sides[OPEN]
            for point, sides in times(measurements).items()
            if {PLAIN, OPEN} <= set(sides)
        }
        shares = sorted(
            share for what, share in ratios if what == "training" and ("forward", share) in ratios
        )
        sparse = [share for share in shares if share <= SPARSE]
        if SHOWN not in sparse:
            return Verdict(Word.NOT_RUN, "Not timed yet: memspan bench gate --ledger FILE.")
        saves = [share for share in sparse if all(ratios[what, share] > 1 for what in PASSES)]
        word = Word.CONDITIONS if saves else Word.FAILS
        detail = "Condition: leak 0, since a leak opens every gate a little; one clock for the whole batch."
        detail += " Times faster than the same LSTM without a gate, training and forward: "
        detail += ", ".join(f"{_pair(ratios, share)} at {share:.0%} open" for share in shares) + "."
        low, high = _interval(measurements)
        return Verdict(word, detail, value=ratios["training", SHOWN], low=low, high=high, n=len(ratios))

    def told(self, verdict: Verdict) -> str:
        """Return the speed-up of training at 5% open."""
        told = f"{number(verdict.value, 1)} times faster in training at {SHOWN:.0%} open"
        if verdict.low is None:
            return told
        return f"{told}; 95% interval {between(verdict.low, verdict.high, 1)}"


def _interval(measurements: Measurements) -> tuple[float | None, float | None]:
    """Return the 95% interval of the speed-up of training at 5% open, as the benchmark tells it."""
    point = {"what": "training", "share": SHOWN, "side": PLAIN}
    values: Mapping[str, Any] = next(
        (m.values for m in latest(measurements) if point.items() <= m.config.items()), {}
    )
    return values.get("ratio_low"), values.get("ratio_high")


def _pair(ratios: dict[tuple[str, float], float], share: float) -> str:
    return " and ".join(number(ratios[what, share], 1) for what in PASSES)


CLAIMS = (
    SavingClaim(
        "c21",
        "Sparse activation saves computation.",
        "Question 2.2",
        "Time of a step against the share of open units: an LSTM under a time gate, open units only computed,"
        " beside the same LSTM without a gate, in training and forward. Nothing is timed that does not equal"
        " the float64 reference.",
        ("bench gate",),
    ),
)
