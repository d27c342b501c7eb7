"""What a probe is, and how its numbers come into the ledger. torch is imported when one is asked."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from memspan.ledger import Ledger
from memspan.machine import machine
from memspan.registry import Registry

PROBES = Registry("probe", {"time_gate": "memspan.probes.time_gate:time_gate"})


@dataclass(frozen=True)
class Probe:
    """One question: its numbers depend on this page and, in their last bits, on the machine.

    Args:
        probe: a name in ``PROBES``.
        cases: random cases it looks at.
        seed: of their stream.
        version: raised when a change of the probe alters its numbers on purpose.
    """

    probe: str
    cases: int = 2000
    seed: int = 0
    version: int = 1

    def __post_init__(self) -> None:
        PROBES[self.probe]

    def flat(self) -> dict[str, Any]:
        """Return every field by name: the config of its measurement."""
        return dataclasses.asdict(self)

    def answer(self) -> dict[str, float]:
        """Return name → number."""
        numbers: dict[str, float] = PROBES.resolve(self.probe)(self.cases, self.seed)
        return numbers


def measure_missing(probes: Iterable[Probe], ledger: Ledger) -> None:
    """Keep the numbers of every probe that the ledger does not hold yet."""
    held = [measurement.config for measurement in ledger.measurements()]
    for probe in probes:
        if probe.flat() not in held:
            ledger.measure(probe.flat(), probe.answer(), machine())
