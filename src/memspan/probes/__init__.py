"""Probes: questions to the equations themselves, answered in a moment and kept as measurements."""

from memspan.probes.probe import PROBES, Probe, measure_missing

__all__ = ["PROBES", "Probe", "measure_missing"]
