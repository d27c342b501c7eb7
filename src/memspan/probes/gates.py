"""What a cell's gates do on its task, and for how long a unit keeps what it holds.

Equations:
    A unit keeps the share f of its state over a step (LSTM), z (GRU), or 1 − k(1 − f) behind a time gate.
    Its effective time constant is τ = −1 / mean ln f, in steps: after τ of them 1/e of a memory is left.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from memspan.cells.time_gate.equations import TimeGate
from memspan.config import RunConfig
from memspan.errors import ArgumentError
from memspan.probes.specimen import Sequences, Specimen

KEEPS = {"f": lambda f: f, "z": lambda z: z}
"""Gate that keeps the state → the share it keeps; torch's GRU keeps z."""
BINS = 20
SHARES = (5, 25, 50, 75, 95)
LONGEST = 1e9
"""A unit that forgets less than this rounds to not at all."""


def gate_values(specimen: Specimen, shown: Sequences) -> dict[str, Tensor]:
    """Return gate's name → activations (T, B, H), and ``k`` for a cell with a clock.

    Raises:
        ArgumentError: a cell that has no gates.
    """
    cell = specimen.cell
    if not set(cell.gates) - set(cell.states):
        raise ArgumentError(f"{cell!r} has no gates; probe an lstm, a gru, or a cell behind a time gate")
    with torch.no_grad():
        states = specimen.steps(shown)
        steps = [
            cell.gate_values(specimen.weights, x, state)
            for x, state in zip(shown.inputs, states[:-1], strict=True)
        ]
    values = {name: torch.stack([step[name] for step in steps]) for name in cell.gates}
    if isinstance(cell, TimeGate):
        values["k"] = _openness(cell, specimen, shown).expand_as(next(iter(values.values())))
    return values


def _openness(cell: TimeGate, specimen: Specimen, shown: Sequences) -> Tensor:
    assert shown.times is not None
    with torch.no_grad():
        return torch.stack([cell.openness(specimen.weights, time) for time in shown.times])


def time_constants(values: dict[str, Tensor]) -> np.ndarray:
    """Return every unit's effective time constant in steps (H,), at most 10⁹.

    Raises:
        ArgumentError: no gate among these keeps the state.
    """
    name = next((name for name in KEEPS if name in values), None)
    if name is None:
        raise ArgumentError(f"gates {', '.join(values)}: none of them keeps the state (f or z)")
    kept = KEEPS[name](values[name])
    if "k" in values:
        kept = 1 - values["k"] * (1 - kept)
    forgotten = -kept.clamp_min(1e-300).log().mean(dim=(0, 1))
    return (1 / forgotten.clamp_min(1 / LONGEST)).numpy()


def measure(specimen: Specimen, shown: Sequences) -> dict[str, object]:
    """Return for every gate its mean, the shares below 0.1 and above 0.9 and a histogram; time constants.

    Returns:
        ``<gate>_mean, _closed, _open, _histogram`` (``BINS`` shares of all values, from 0 to 1; tanh's from
        −1 to 1); ``time_constants``, sorted; ``time_constant_<p>``, their percentiles.
    """
    values = gate_values(specimen, shown)
    found: dict[str, object] = {}
    for name, value in values.items():
        low = -1.0 if float(value.min()) < 0 else 0.0
        counts = np.histogram(value.numpy(), bins=BINS, range=(low, 1.0))[0] / value.numel()
        found[f"{name}_mean"] = round(float(value.mean()), 6)
        found[f"{name}_closed"] = round(float((value < 0.1).double().mean()), 6)
        found[f"{name}_open"] = round(float((value > 0.9).double().mean()), 6)
        found[f"{name}_histogram"] = [round(float(share), 5) for share in counts]
    if set(KEEPS) & set(values):
        constants = np.sort(time_constants(values))
        found["time_constants"] = [float(f"{value:.4g}") for value in constants]
        found |= {
            f"time_constant_{p}": float(f"{value:.4g}")
            for p, value in zip(SHARES, np.percentile(constants, SHARES), strict=True)
        }
    return found


def of_run(run: RunConfig, state: bytes) -> dict[str, object]:
    """Return ``measure`` before and after training, names with ``before_`` and ``after_``."""
    found: dict[str, object] = {}
    for when, specimen in {"before": Specimen.fresh(run), "after": Specimen.trained(run, state)}.items():
        numbers = measure(specimen, specimen.sequences(batch=32, seed=run.seed))
        found |= {f"{when}_{name}": value for name, value in numbers.items()}
    return found
