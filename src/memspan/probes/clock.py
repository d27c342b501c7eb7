"""The clocks of a cell behind a time gate: when which unit is open."""

from __future__ import annotations

import numpy as np
import torch

from memspan.cells.time_gate.equations import TimeGate
from memspan.config import RunConfig
from memspan.errors import ArgumentError
from memspan.probes.specimen import Specimen


def clocks(specimen: Specimen) -> dict[str, np.ndarray]:
    """Return ``period``, ``shift`` and ``open_ratio`` of every unit (H,), sorted by period.

    Raises:
        ArgumentError: a cell without a clock.
    """
    cell = specimen.cell
    if not isinstance(cell, TimeGate):
        raise ArgumentError(f"{cell!r} has no clock; probe a phased cell, for instance phased_lstm")
    with torch.no_grad():
        period, shift, ratio = (value.numpy() for value in cell.clocks_of(specimen.weights))
    order = np.argsort(period, kind="stable")
    return {"period": period[order], "shift": shift[order], "open_ratio": ratio[order]}


def raster(found: dict[str, np.ndarray], times: np.ndarray) -> np.ndarray:
    """Return k of every unit at every time (H, T), leak 0."""
    from memspan.cells.time_gate.curve import openness

    rows = zip(found["period"], found["shift"], found["open_ratio"], strict=True)
    return np.stack([openness(times, *clock) for clock in rows])


def measure(specimen: Specimen, times: np.ndarray) -> dict[str, object]:
    """Return the clocks, and over these times the mean openness and the share of units that are open."""
    found = clocks(specimen)
    k = raster(found, times)
    numbers: dict[str, object] = {"mean_openness": float(k.mean()), "open_share": float((k > 0).mean())}
    return numbers | {name: [float(f"{v:.6g}") for v in values] for name, values in found.items()}


def of_run(run: RunConfig, state: bytes) -> dict[str, object]:
    """Return ``measure`` before and after training, names with ``before_`` and ``after_``."""
    times = np.arange(run.task.steps, dtype=float)
    found: dict[str, object] = {"steps": run.task.steps}
    for when, specimen in {"before": Specimen.fresh(run), "after": Specimen.trained(run, state)}.items():
        found |= {f"{when}_{name}": value for name, value in measure(specimen, times).items()}
    return found
