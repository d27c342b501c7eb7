"""What needs no training: questions to the equations, one experiment a probe."""

from __future__ import annotations

from memspan.probes import Probe
from memspan.study.experiment import Experiment

IDENTITIES = (
    Experiment(
        "time_gate", "The gate's curve against its closed forms", (), ("c18", "c23"), (Probe("time_gate"),)
    ),
)
