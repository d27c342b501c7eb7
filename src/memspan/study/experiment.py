"""An experiment is the runs behind a figure or a claim; a preset is a list of experiments."""

from __future__ import annotations

from dataclasses import dataclass

from memspan.config import RunConfig
from memspan.probes import Probe


@dataclass(frozen=True)
class Experiment:
    """Runs that answer one question.

    Args:
        id: its name, for instance ``"palindromes"``.
        title: what it is, for people.
        runs: every run it needs.
        serves: ids of the figures, tables and claims drawn from it.
    """

    id: str
    title: str
    runs: tuple[RunConfig, ...]
    serves: tuple[str, ...]


@dataclass(frozen=True)
class Preset:
    """A budget: the experiments that ``memspan reproduce --preset`` runs.

    Args:
        name: its name on the command line.
        summary: one sentence for ``--help`` and the head of the report.
        experiments: what is run.
        probes: what is asked of the equations; that costs no training, so every preset asks all of it.
    """

    name: str
    summary: str
    experiments: tuple[Experiment, ...]
    probes: tuple[Probe, ...] = ()

    @property
    def runs(self) -> tuple[RunConfig, ...]:
        """Every run of the preset once, in the order of the experiments."""
        unique = {run.id: run for experiment in self.experiments for run in experiment.runs}
        return tuple(unique.values())

    @property
    def command(self) -> str:
        """The command that runs it."""
        return f"memspan reproduce --preset {self.name}"

    def serving(self, figure_or_claim: str) -> tuple[RunConfig, ...]:
        """Return the runs behind one figure, table or claim."""
        return tuple(run for e in self.experiments if figure_or_claim in e.serves for run in e.runs)
