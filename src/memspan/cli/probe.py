"""``memspan probe``: where gradients go, what gates do, and when clocks are open, of anything saved."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from memspan.cli.names import check_cell
from memspan.cli.options import LEDGER
from memspan.errors import ArgumentError, OutputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from memspan.probes.specimen import Specimen

SUFFIXES = (".svg", ".png", ".pdf")
MOST_STEPS = 100_000


@dataclass(frozen=True)
class Target:
    """What is looked at, and what becomes of the numbers."""

    out: Path = Path("out")
    """Folder of the ledger in which a run's id is looked up."""
    before: bool = False
    """Look at a run before its training instead of after it."""
    cell: str = ""
    """The cell of saved weights; told from their names and shapes if not given."""
    trust: tuple[str, ...] = ()
    """Import paths (package.module:Class) of cells and tasks of your own that a stored run may name; their
    code runs."""
    layer: int = 0
    """Which layer (times directions) of saved weights."""
    steps: int = 100
    """Steps of the random sequences that saved weights are shown; a run is shown its task's."""
    json: bool = False
    """Print JSON."""
    plot: Path | None = None
    """Draw the numbers into this file (.svg, .png or .pdf) as well."""

    def __post_init__(self) -> None:
        if not 1 <= self.steps <= MOST_STEPS:
            raise ArgumentError(f"--steps {self.steps}: expected at least 1, at most {MOST_STEPS:,}")
        if self.plot is not None and self.plot.suffix.lower() not in SUFFIXES:
            raise OutputError(f"--plot {self.plot}: expected a name that ends in {', '.join(SUFFIXES)}")

    def specimen(self, what: str) -> Specimen:
        """Return the cell and weights behind a run's id, the beginning of one, or a file."""
        from memspan.probes.specimen import Specimen

        if self.cell:
            check_cell(self.cell)
        if Path(what).exists():
            return Specimen.of_file(Path(what), self.cell, self.layer, self.trust)
        if not re.fullmatch(r"[0-9a-f]{1,16}", what):
            raise ArgumentError(f"{what!r} is neither a file nor a run's id (memspan runs list shows them)")
        return self._of_run(what)

    def _of_run(self, id: str) -> Specimen:
        from memspan.config import RunConfig
        from memspan.ledger import Ledger
        from memspan.probes.specimen import Specimen

        if not (self.out / LEDGER).exists():
            raise ArgumentError(f"there is no ledger in {str(self.out)!r}; name its folder by --out")
        with Ledger.open(self.out / LEDGER, readonly=True) as ledger:
            found = [record for record in ledger.select() if record.id.startswith(id)]
            if len(found) != 1:
                raise ArgumentError(
                    f"{len(found)} runs in {str(self.out)!r} have an id that begins with {id}"
                )
            run = RunConfig.from_stored(found[0].config, self.trust)
            if self.before:
                return Specimen.fresh(run, self.layer)
            state = ledger.final_state(found[0].id)
        if state is None:
            raise ArgumentError(f"run {found[0].id} has no final state here: train it, or ask with --before")
        return Specimen.trained(run, state, self.layer)

    def show(self, found: dict[str, Any], draw: Callable[[dict[str, Any]], Figure]) -> int:
        """Draw the numbers where asked, print them, and return exit code 0."""
        if self.plot is not None:
            self._save(draw(found), self.plot)
        print(json.dumps(found) if self.json else _table(found))
        return 0

    def _save(self, figure: Figure, file: Path) -> None:
        try:
            figure.savefig(file, facecolor="white", dpi=160)
        except OSError as error:
            reason = error.strerror or error
            raise OutputError(f"--plot {file}: cannot be written ({reason}); name another file") from None


def _table(found: dict[str, Any]) -> str:
    """Return single numbers as lines, then lists of equal length beside each other."""
    lines = [f"{name:<24} {value}" for name, value in found.items() if not isinstance(value, list)]
    lists = {name: values for name, values in found.items() if isinstance(values, list)}
    for size in dict.fromkeys(map(len, lists.values())):
        columns = {name: values for name, values in lists.items() if len(values) == size}
        lines += ["", "  ".join(f"{name:>14}" for name in columns)]
        lines += ["  ".join(f"{v:>14.6g}" for v in row) for row in zip(*columns.values(), strict=True)]
    return "\n".join(lines)


@dataclass(frozen=True)
class ProbeGradients:
    """Print the gradient of each step's state, singular values of Jacobian products, shares of dL/dW_hh."""

    what: tyro.conf.Positional[str]
    """A run's id, or a file: a run's final state, or a layer's state_dict (.safetensors, .pt)."""
    target: tyro.conf.OmitArgPrefixes[Target] = field(default_factory=Target)

    def run(self) -> int:
        """Measure, print and draw."""
        from memspan.probes import gradients

        specimen = self.target.specimen(self.what)
        with gradients.one_thread():
            found = gradients.measure(specimen, specimen.sequences(self.target.steps, batch=32))

        def draw(curves: dict[str, Any]) -> Figure:
            from memspan.report.figures.gradients import draw_curves_of

            return draw_curves_of(curves, specimen.cell.states)

        return self.target.show(found, draw)


@dataclass(frozen=True)
class ProbeGates:
    """Print how open each gate is, its histogram, and for how long every unit keeps its state."""

    what: tyro.conf.Positional[str]
    """A run's id, or a file: a run's final state, or a layer's state_dict (.safetensors, .pt)."""
    target: tyro.conf.OmitArgPrefixes[Target] = field(default_factory=Target)

    def run(self) -> int:
        """Measure, print and draw."""
        from memspan.probes import gates

        specimen = self.target.specimen(self.what)
        found = gates.measure(specimen, specimen.sequences(self.target.steps, batch=32))

        def draw(numbers: dict[str, Any]) -> Figure:
            from memspan.report.figures.gates import draw_gates_of

            return draw_gates_of(numbers)

        return self.target.show(found, draw)


@dataclass(frozen=True)
class ProbeClock:
    """Print the period, shift and open ratio of every unit behind a time gate, and how often it is open."""

    what: tyro.conf.Positional[str]
    """A run's id, or a file: a run's final state, or a layer's state_dict (.safetensors, .pt)."""
    target: tyro.conf.OmitArgPrefixes[Target] = field(default_factory=Target)

    def run(self) -> int:
        """Measure, print and draw."""
        import numpy as np

        from memspan.probes import clock

        specimen = self.target.specimen(self.what)
        times = np.arange(float(specimen.run.task.steps if specimen.run else self.target.steps))
        found = clock.measure(specimen, times)

        def draw(numbers: dict[str, Any]) -> Figure:
            from memspan.report.figures.gates import draw_raster

            return draw_raster({"": [numbers[name] for name in ("period", "shift", "open_ratio")]}, times)

        return self.target.show(found, draw)
