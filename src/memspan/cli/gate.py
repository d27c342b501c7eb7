"""``memspan gate``: the curve of a time gate as numbers or as a picture."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from memspan.errors import ArgumentError, OutputError

MOST = 1_000_000
"""Points of a curve that are printed at most."""
SUFFIXES = (".svg", ".png", ".pdf")


@dataclass(frozen=True)
class Gate:
    """Print phase and openness of a time gate over time: k rises and falls once a period, else is closed."""

    period: float = 15.0
    """Length τ of a cycle."""
    shift: float = 0.0
    """Time s at which a cycle begins."""
    open_ratio: float = 0.4
    """Share r of a cycle in which the gate is open, above 0 and at most 1."""
    leak: float = 0.0
    """Leak α: while closed the openness is α·phase."""
    start: Annotated[float, tyro.conf.arg(name="from")] = 0.0
    """First time."""
    to: float = 60.0
    """Last time, always included."""
    step: float = 0.5
    """Time from one point to the next."""
    json: bool = False
    """Print JSON: {"time": [...], "phase": [...], "openness": [...]}."""
    plot: Path | None = None
    """Draw the curve into this file (.svg, .png or .pdf) as well."""

    def run(self) -> int:
        """Print the curve, a line a point, and draw it where asked."""
        from memspan.cells.time_gate.curve import openness, phase

        time = times(self.start, self.to, self.step)
        k = openness(time, self.period, self.shift, self.open_ratio, self.leak)
        found = {"time": time, "phase": phase(time, self.period, self.shift), "openness": k}
        if self.plot is not None:
            self._draw(self.plot)
        print(_as_json(found) if self.json else _as_table(found))
        return 0

    def _draw(self, file: Path) -> None:
        if file.suffix.lower() not in SUFFIXES:
            raise OutputError(f"--plot {file}: expected a name that ends in {', '.join(SUFFIXES)}")
        from memspan.report.figures.gate import Clock, draw_gate, write_figure

        figure = draw_gate(Clock(self.period, self.shift, self.open_ratio, self.leak), (self.start, self.to))
        try:
            write_figure(figure, file)
        except OSError as error:
            reason = error.strerror or error
            raise OutputError(f"--plot {file}: cannot be written ({reason}); name another file") from None


def times(start: float, to: float, step: float) -> np.ndarray:
    """Return start, start + step, … and to, the last gap shorter where the step does not divide the range.

    Raises:
        ArgumentError: a step that is not positive, an end before the start, or too many points.

    Example:
        >>> times(0, 1, 0.3).tolist()
        [0.0, 0.3, 0.6, 0.9, 1.0]
    """
    for flag, value in (("--from", start), ("--to", to), ("--step", step)):
        if not math.isfinite(value):
            raise ArgumentError(f"{flag} {value:g}: expected a finite number")
    if step <= 0:
        raise ArgumentError(f"--step {step:g}: expected a positive number")
    if to < start:
        raise ArgumentError(f"--to {to:g} is before --from {start:g}; expected an end after the start")
    steps = (to - start) / step
    if steps > MOST:
        raise ArgumentError(f"--step {step:g} makes {steps:.3g} points; expected at most {MOST:,}")
    whole = math.floor(steps + 1e-9)
    points = [float(f"{start + i * step:.15g}") for i in range(whole + 1)]
    if steps - whole > 1e-9:
        return np.array([*points, to])
    return np.array([*points[:-1], to])


def _as_json(found: dict[str, np.ndarray]) -> str:
    return json.dumps({name: values.tolist() for name, values in found.items()})


def _as_table(found: dict[str, np.ndarray]) -> str:
    lines = ["{:>12}  {:>8}  {:>8}".format(*found)]
    rows = zip(*found.values(), strict=True)
    return "\n".join([*lines, *(f"{t:>12.10g}  {phi:>8.6f}  {k:>8.6f}" for t, phi, k in rows)])
