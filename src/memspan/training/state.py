"""A replica's state as bytes: weights, optimiser slots and the curves so far, in safetensors."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import safetensors.numpy as safetensors
import torch

from memspan.config import RunConfig
from memspan.ledger.events import Piece, Pieces
from memspan.training.answers import score_names
from memspan.training.pack import Outcome, Pack

OUTCOMES = tuple(f.name for f in dataclasses.fields(Outcome))
"""Curves with a value for every update."""


class History:
    """The curves of one replica at full resolution, on regular grids of steps.

    An update's loss, batch accuracy and gradient norm have a value each step, held-out numbers one each
    ``evaluate_every``. Room for every value is made at once.
    """

    def __init__(self, run: RunConfig) -> None:
        every, names = run.recipe.evaluate_every, score_names(run.task)
        self.strides = dict.fromkeys(OUTCOMES, 1) | dict.fromkeys(names, every)
        self.values = {
            name: np.full(run.recipe.steps // stride, np.nan, np.float32)
            for name, stride in self.strides.items()
        }

    def note(self, step: int, values: Mapping[str, float]) -> None:
        """File values of some curves under a step, 1 … steps."""
        for name, value in values.items():
            self.values[name][step // self.strides[name] - 1] = value

    def until(self, name: str, step: int) -> np.ndarray:
        """Return a curve's values up to and with a step."""
        return self.values[name][: step // self.strides[name]]

    def between(self, after: int, step: int) -> Pieces:
        """Return every curve's stretch on (after, step]."""
        return {
            name: Piece(
                (after // stride + 1) * stride,
                stride,
                self.values[name][after // stride : step // stride].copy(),
            )
            for name, stride in self.strides.items()
            if step // stride > after // stride
        }


@dataclass
class Saved:
    """A state read back from bytes."""

    step: int
    weights: torch.Tensor
    slots: dict[str, torch.Tensor]
    carried: list[torch.Tensor]
    curves: dict[str, np.ndarray]


def pack_state(pack: Pack, replica: int, history: History, step: int) -> bytes:
    """Return all that is needed to go on with one replica from ``step``, as safetensors bytes."""
    tensors = {"weights": pack.weights[replica].numpy()}
    tensors |= {f"optimizer.{slot}": rows[replica].numpy() for slot, rows in pack.slots.items()}
    tensors |= {f"carried.{k}": part[replica].numpy() for k, part in enumerate(pack.carried_parts())}
    tensors |= {f"curve.{name}": history.until(name, step) for name in history.strides}
    run = pack.runs[replica]
    page = json.dumps({"run": run.id, "step": step, "config": run.canonical()}, sort_keys=True)
    return safetensors.save(tensors, metadata={"memspan": page})  # one key: their order is not fixed


def read_state(data: bytes, step: int) -> Saved:
    """Read a state back; ``step`` is the update it was taken after."""
    tensors = safetensors.load(data)

    def named(prefix: str) -> dict[str, np.ndarray]:
        return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}

    slots = {k: torch.from_numpy(v.copy()) for k, v in named("optimizer.").items()}
    carried = [torch.from_numpy(v.copy()) for _, v in sorted(named("carried.").items(), key=_number)]
    return Saved(step, torch.from_numpy(tensors["weights"].copy()), slots, carried, named("curve."))


def _number(item: tuple[str, np.ndarray]) -> int:
    return int(item[0])
