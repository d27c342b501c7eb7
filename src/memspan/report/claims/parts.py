"""Claims of several parts: each is true or false of a seed in its own way, the word is that of them all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from memspan.report.claims.claim import Roles, SeedClaim, Trial
from memspan.report.claims.verdict import Judgement, judge
from memspan.report.records import Records
from memspan.statistics import bootstrap_interval

Found = Sequence[tuple[bool, float | None]]
"""For each seed: whether the part is true of it, and the number it rests on."""


@dataclass(frozen=True)
class Part:
    """One part of a sentence.

    Args:
        name: what it says, in a few words.
        find: runs → what is found, one entry a seed; seeds that lack a run are left out.
    """

    name: str
    find: Callable[[Records], Found]


@dataclass(frozen=True, kw_only=True)
class PartsClaim(SeedClaim):
    """A sentence of several parts, each judged by the share of seeds for which it is true."""

    kind: ClassVar[str] = "part"
    true_of: Callable[[Trial], bool] = lambda trial: False
    steps: int | None = None
    parts: tuple[Part, ...]

    def roles(self, runs: Records) -> Mapping[str, Roles]:
        """Return nothing: a part finds its runs itself."""
        return {}

    @property
    def named(self) -> tuple[str, ...]:
        """Every part."""
        return tuple(part.name for part in self.parts)

    def _judge(self, runs: Records) -> tuple[Judgement, ...]:
        return tuple(j for part in self.parts if (j := _judgement(part, runs)) is not None)


def _judgement(part: Part, runs: Records) -> Judgement | None:
    found = part.find(runs)
    if not found:
        return None
    numbers = [number for _, number in found if number is not None]
    measure = bootstrap_interval(numbers) if numbers else None
    return judge(part.name, [truth for truth, _ in found], measure)
