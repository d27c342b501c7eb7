"""What needs no training: questions to the equations, one experiment a probe, and a benchmark."""

from __future__ import annotations

from memspan.probes import Probe
from memspan.study.experiment import Experiment


def _asked(probe: str, title: str, *serves: str) -> Experiment:
    return Experiment(probe, title, (), serves, (Probe(probe),))


IDENTITIES = (
    _asked("bptt", "Back-propagation through time, three ways", "c01", "c02", "fig-recursion"),
    _asked("jacobians", "Products of Jacobians against elements", "c03", "fig-radius"),
    _asked("rmsprop", "RMSProp as printed, beside torch's", "c09"),
    _asked("adam", "Adam as printed, beside torch's", "c10", "fig-adam"),
    _asked("parameters", "Numbers of parameters", "c11"),
    _asked("temperature", "A division by a temperature, undone by the read-out", "c26"),
    _asked("log_softmax", "A softmax and its logarithm in float32", "c36"),
    _asked("time_gate", "The gate's curve against its closed forms", "c18", "c23"),
    _asked("slope", "A period learned with the gate's slopes, and with slopes of 1", "c23", "fig-slope"),
    _asked("closed_gate", "What a closed gate copies", "c38", "fig-copy"),
    Experiment("bench gate", "What closed gates save: memspan bench gate", (), ("c21", "fig-sparse")),
)
