"""An experiment is what is trained and asked for a figure or a claim; a preset is a list of experiments."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from memspan.config import RunConfig
from memspan.probes import Question


@dataclass(frozen=True)
class Experiment:
    """Runs and probes that answer one question.

    Args:
        id: its name, for instance ``"palindromes"``.
        title: what it is, for people.
        runs: every run it needs.
        serves: ids of the figures, tables and claims drawn from it.
        probes: what is asked of the equations, or of its trained runs.
    """

    id: str
    title: str
    runs: tuple[RunConfig, ...]
    serves: tuple[str, ...]
    probes: tuple[Question, ...] = ()


@dataclass(frozen=True)
class Preset:
    """A budget: the experiments that ``memspan reproduce --preset`` runs.

    Args:
        name: its name on the command line.
        summary: one sentence for ``--help`` and the head of the report.
        experiments: what is run and asked.
    """

    name: str
    summary: str
    experiments: tuple[Experiment, ...]

    @property
    def runs(self) -> tuple[RunConfig, ...]:
        """Every run of the preset once, in the order of the experiments."""
        unique = {run.id: run for experiment in self.experiments for run in experiment.runs}
        return tuple(unique.values())

    @property
    def probes(self) -> tuple[Question, ...]:
        """Every probe of the preset."""
        return tuple(dict.fromkeys(probe for e in self.experiments for probe in e.probes))

    @property
    def command(self) -> str:
        """The command that runs it."""
        return f"memspan reproduce --preset {self.name}"

    def serving(self, figure_or_claim: str) -> tuple[RunConfig, ...]:
        """Return the runs behind one figure, table or claim."""
        return self.only([figure_or_claim]).runs

    def only(self, ids: Iterable[str]) -> Preset:
        """Return the preset with no more than what serves these figures, tables and claims."""
        wanted = set(ids)
        serving = tuple(e for e in self.experiments if wanted & set(e.serves))
        return Preset(self.name, self.summary, serving)
