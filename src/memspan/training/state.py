"""A replica's state as bytes: weights, optimiser slots and the curves so far, in safetensors."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import safetensors.numpy as safetensors
import torch

from memspan.ledger.events import Piece, Pieces
from memspan.training.pack import Pack

EVALUATE_EVERY = 100
"""Updates between two evaluations on fresh sequences."""

_STRIDES = {"loss": 1, "batch_accuracy": 1, "gradient_norm": 1, "accuracy": EVALUATE_EVERY}


class History:
    """The curves of one replica at full resolution, on regular grids of steps.

    Args:
        steps: the budget; room for every value is made at once.
    """

    def __init__(self, steps: int) -> None:
        self.values = {
            name: np.full(steps // stride, np.nan, np.float32) for name, stride in _STRIDES.items()
        }

    def note(self, name: str, step: int, value: float) -> None:
        """File a value under its step, 1 … steps."""
        self.values[name][step // _STRIDES[name] - 1] = value

    def until(self, name: str, step: int) -> np.ndarray:
        """Return a curve's values up to and with a step."""
        return self.values[name][: step // _STRIDES[name]]

    def between(self, after: int, step: int) -> Pieces:
        """Return every curve's stretch on (after, step]."""
        return {
            name: Piece(
                (after // stride + 1) * stride, stride, values[after // stride : step // stride].copy()
            )
            for name, (stride, values) in ((n, (_STRIDES[n], v)) for n, v in self.values.items())
            if step // stride > after // stride
        }


@dataclass
class Saved:
    """A state read back from bytes."""

    step: int
    weights: torch.Tensor
    slots: dict[str, torch.Tensor]
    curves: dict[str, np.ndarray]


def pack_state(pack: Pack, replica: int, history: History, step: int) -> bytes:
    """Return all that is needed to go on with one replica from ``step``, as safetensors bytes."""
    tensors = {"weights": pack.weights[replica].numpy()}
    tensors |= {f"optimizer.{slot}": rows[replica].numpy() for slot, rows in pack.slots.items()}
    tensors |= {f"curve.{name}": history.until(name, step) for name in _STRIDES}
    run = pack.runs[replica]
    page = json.dumps({"run": run.id, "step": step, "config": run.canonical()}, sort_keys=True)
    return safetensors.save(tensors, metadata={"memspan": page})  # one key: their order is not fixed


def read_state(data: bytes, step: int) -> Saved:
    """Read a state back; ``step`` is the update it was taken after."""
    tensors = safetensors.load(data)

    def named(prefix: str) -> dict[str, np.ndarray]:
        return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}

    slots = {k: torch.from_numpy(v.copy()) for k, v in named("optimizer.").items()}
    return Saved(step, torch.from_numpy(tensors["weights"].copy()), slots, named("curve."))
