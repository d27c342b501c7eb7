"""Probes: questions to the equations and to trained runs, answered in a moment and kept as measurements."""

from memspan.probes.probe import PROBES, RUN_PROBES, Probe, Question, RunProbe, measure_missing

__all__ = ["PROBES", "RUN_PROBES", "Probe", "Question", "RunProbe", "measure_missing"]
