"""What a probe is, and how its numbers come into the ledger. torch is imported when one is asked.

A ``Probe`` asks the equations about random cases, a ``RunProbe`` asks a trained run's last state.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from memspan.config import RunConfig
from memspan.ledger import Ledger
from memspan.machine import machine
from memspan.registry import Registry

PROBES = Registry(
    "probe",
    {
        "adam": "memspan.probes.updates:adam",
        "bptt": "memspan.probes.bptt:bptt",
        "closed_gate": "memspan.probes.closed_gate:closed_gate",
        "jacobians": "memspan.probes.jacobians:jacobians",
        "log_softmax": "memspan.probes.softmax:log_softmax",
        "parameters": "memspan.probes.parameters:parameters",
        "rmsprop": "memspan.probes.updates:rmsprop",
        "slope": "memspan.probes.slope:slope",
        "temperature": "memspan.probes.softmax:temperature",
        "time_gate": "memspan.probes.time_gate:time_gate",
    },
)
"""Name → a function from (cases, seed) to numbers by name."""
RUN_PROBES = Registry(
    "probe of runs",
    {
        "clock": "memspan.probes.clock:of_run",
        "gates": "memspan.probes.gates:of_run",
        "gradients": "memspan.probes.gradients:of_run",
        "streaming": "memspan.probes.streaming:of_run",
        "text": "memspan.probes.text:of_run",
        "text_sampling": "memspan.probes.text:sampling",
        "text_units": "memspan.probes.text:units",
    },
)
"""Name → a function from (run config, final state's bytes) to numbers by name."""


class Question(Protocol):
    """Whatever the ledger can keep the answer of."""

    def flat(self) -> dict[str, Any]:
        """Return the config of its measurement."""

    def ask(self, ledger: Ledger) -> dict[str, Any] | None:
        """Return its numbers, or None as long as they cannot be had."""


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

    def ask(self, ledger: Ledger) -> dict[str, Any]:
        """Return its answer; the ledger is not looked at."""
        return self.answer()


@dataclass(frozen=True)
class RunProbe:
    """One question to a trained run.

    Args:
        probe: a name in ``RUN_PROBES``.
        run: the run whose final state is looked at.
        version: raised when a change of the probe alters its numbers on purpose.
    """

    probe: str
    run: RunConfig
    version: int = 1

    def __post_init__(self) -> None:
        RUN_PROBES[self.probe]

    def flat(self) -> dict[str, Any]:
        """Return the config of its measurement; the run stands in it by its id."""
        return {"probe": self.probe, "run": self.run.id, "version": self.version}

    def ask(self, ledger: Ledger) -> dict[str, Any] | None:
        """Return its numbers; None if the run has not finished here, or was imported without its state."""
        state = ledger.final_state(self.run.id)
        return None if state is None else RUN_PROBES.resolve(self.probe)(self.run, state)


def measure_missing(questions: Iterable[Question], ledger: Ledger) -> None:
    """Keep the numbers of every probe that the ledger does not hold yet."""
    held = [measurement.config for measurement in ledger.measurements()]
    for question in questions:
        if question.flat() not in held and (numbers := question.ask(ledger)) is not None:
            ledger.measure(question.flat(), numbers, machine())
