"""What a cell is: the equations of one recurrent unit, without weights, device or loop."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from memspan.errors import ArgumentError, KernelRefusal

Parameters = Mapping[str, Tensor]
State = tuple[Tensor, ...]


class Cell(abc.ABC):
    """Equations of one recurrent unit.

    A cell holds sizes only. Its weights come as a mapping from name to tensor, in torch's
    layout: every gate's block of H rows stacked in the order of ``gates``.

    Shapes:
        G gates, D input, H hidden. ``weight_ih`` (G·H, D), ``weight_hh`` (G·H, H), and
        ``bias_ih``, ``bias_hh`` (G·H). Every tensor may carry leading axes ("..."), so that
        stacked replicas are one more axis.

    Args:
        input_size: D ≥ 1.
        hidden_size: H ≥ 1.
        biases: 2 as in ``torch.nn`` (``bias_ih`` and ``bias_hh``), 1 (``bias_ih`` only) or 0.
    """

    name: ClassVar[str]
    gates: tuple[str, ...] = ()
    states: tuple[str, ...] = ("h",)

    def __init__(self, input_size: int, hidden_size: int, biases: int = 2) -> None:
        if input_size < 1 or hidden_size < 1 or biases not in (0, 1, 2):
            raise ArgumentError(
                f"input_size {input_size}, hidden_size {hidden_size}, biases {biases}: "
                "expected sizes of at least 1 and biases 0, 1 or 2"
            )
        self.input_size, self.hidden_size, self.biases = input_size, hidden_size, biases

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.input_size}, {self.hidden_size}, biases={self.biases})"

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return name → shape of every parameter, in the order they are registered."""
        rows = max(1, len(self.gates)) * self.hidden_size
        shapes: dict[str, tuple[int, ...]] = {
            "weight_ih": (rows, self.input_size),
            "weight_hh": (rows, self.hidden_size),
        }
        return shapes | dict.fromkeys(("bias_ih", "bias_hh")[: self.biases], (rows,))

    def parameter_count(self) -> int:
        """Return the number of weights and biases, whatever T and B."""
        return sum(int(torch.Size(shape).numel()) for shape in self.parameter_shapes().values())

    def own_initial(self, seed: int) -> dict[str, np.ndarray]:
        """Return name → initial values of the parameters that are neither weights nor biases; here none."""
        return {}

    def clock(self, times: Tensor | None, steps: int, device: torch.device) -> Tensor | None:
        """Return the times a call over T steps runs on; a cell without a clock does not look at them.

        Shapes:
            times (T,) or (R, T, B).
        """
        return times

    def in_evaluation(self) -> Cell:
        """Return the cell to evaluate with: the same, unless its equations have a part for training only."""
        return self

    def initial_state(self, *leading: int, like: Tensor) -> State:
        """Return the zero state, every part (*leading, H), with the dtype and device of ``like``."""
        return tuple(like.new_zeros(*leading, self.hidden_size) for _ in self.states)

    @abc.abstractmethod
    def step(self, p: Parameters, x: Tensor, state: State, time: Tensor | None = None) -> State:
        """Advance the state by one input.

        Shapes:
            x (..., B, D); every part of the state (..., B, H); time (...) or (..., B).

        Returns:
            The next state; its first part is the output h.
        """

    def gate_values(self, p: Parameters, x: Tensor, state: State) -> dict[str, Tensor]:
        """Return name → activation of every gate for this step, each (..., B, H)."""
        raise KernelRefusal(f"{type(self).__name__} does not say what its gates are; define gate_values()")


def products(p: Parameters, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
    """Return W_ih x + b_ih and W_hh h + b_hh, kept apart because a gate may multiply the second.

    Shapes:
        x (..., B, D) and h (..., B, H) give two tensors (..., B, G·H).
    """
    zx, zh = x @ p["weight_ih"].mT, h @ p["weight_hh"].mT
    if "bias_ih" in p:
        zx = zx + p["bias_ih"].unsqueeze(-2)
    if "bias_hh" in p:
        zh = zh + p["bias_hh"].unsqueeze(-2)
    return zx, zh
