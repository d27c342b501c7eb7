"""What a report rests on: the runs of a preset and the answers of its probes, and the verdicts they allow."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from memspan.ledger import Ledger, Measurement
from memspan.report.claims import CLAIMS, Verdict
from memspan.report.figures import Panel
from memspan.report.records import Measurements, Records, ended, joined
from memspan.report.tables import Table
from memspan.study import Preset

STUDY = "palindromes"
"""The experiment behind the tables of lengths and the numbers in the prose about them."""


@dataclass(frozen=True)
class Evidence:
    """Runs and answers of one preset.

    Args:
        preset: whose.
        records: those of its runs that are held, in the preset's order.
        measurements: answers of its probes, and benchmarks.
    """

    preset: Preset
    records: Records
    measurements: Measurements = ()

    @classmethod
    def of(cls, ledger: Ledger, preset: Preset) -> Evidence:
        """Return what a ledger holds for a preset; runs of other presets are passed over."""
        held = {record.id: record for record in ledger.select()}
        records = [held[run.id] for run in preset.runs if run.id in held]
        return cls(preset, records, answers(ledger, preset))

    @functools.cached_property
    def verdicts(self) -> Mapping[str, Verdict]:
        """Every claim's verdict, by id."""
        return {id: claim.verdict(self.serving(id), self.measurements) for id, claim in CLAIMS.items()}

    @property
    def studied(self) -> Records:
        """The runs of the palindrome study."""
        return self._among(run.id for e in self.preset.experiments if e.id == STUDY for run in e.runs)

    def serving(self, id: str) -> Records:
        """Return the runs behind one figure, table or claim."""
        return self._among(run.id for run in self.preset.serving(id))

    def _among(self, ids: Any) -> Records:
        wanted = set(ids)
        return [record for record in self.records if record.id in wanted]

    def shown(self, exhibit: Panel | Table) -> Sequence[Any] | None:
        """Return what a figure or table is made from, runs or a probe's answers; None if there is none."""
        if exhibit.from_runs:
            return joined(ended(self.serving(exhibit.id)), self.measurements, exhibit.probe) or None
        if exhibit.probe:
            asked = [
                m
                for m in self.measurements
                if exhibit.probe in (m.config.get("probe"), m.config.get("bench"))
            ]
            return asked or None
        return ()

    def answer(self, probe: str) -> Mapping[str, Any]:
        """Return the latest numbers of a probe of the equations; nothing where it has not been asked."""
        found = [m for m in self.measurements if m.config.get("probe") == probe and "run" not in m.config]
        return found[-1].values if found else {}


def answers(ledger: Ledger, preset: Preset) -> list[Measurement]:
    """Return the measurements of a preset's probes, and those of benchmarks, which no preset asks for."""
    asked = [probe.flat() for probe in preset.probes]
    return [m for m in ledger.measurements() if m.config in asked or "probe" not in m.config]
