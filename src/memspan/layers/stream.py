"""Inference step by step."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from memspan.cells.cell import State
from memspan.errors import ShapeError
from memspan.layers import checks
from memspan.layers.form import Form


class Stream:
    """Inference step by step, without gradients; the outputs are those of one call over the whole sequence.

    Shapes:
        Every call takes (B, D), or (D) without a batch, and returns (B, H) or (H); with replicas each has a
        leading axis R.

    Args:
        layer: one direction only; its weights are read at every step, its state is not touched.
        hx: the state to begin with, as in the layer's call.

    Raises:
        ArgumentError: a bidirectional layer.

    Example:
        >>> from memspan.layers import GRU
        >>> layer, x = GRU(3, 5), torch.randn(7, 4, 3)
        >>> step = layer.stream()
        >>> torch.allclose(torch.stack([step(now) for now in x]), layer(x)[0], atol=1e-6)
        True
    """

    def __init__(self, layer: Form, hx: Tensor | State | None = None) -> None:
        checks.one_direction(layer, "its reverse direction begins at the end of the sequence")
        self.layer, self.state, self.steps = layer, hx, 0

    @torch.no_grad()
    def __call__(
        self, x: Tensor, *, reset: Tensor | None = None, time: Tensor | float | None = None
    ) -> Tensor:
        """Return the output of one step.

        Args:
            x: the input.
            reset: bool (B,): true where a row's state is made zero first.
            time: the timestamp, a number, () or (B,), for cells with a clock; they count 0, 1, 2, … if not
                told.
        """
        axis, now = self._time_axis(x), checks.time_of(time, tuple(x.shape[:-1]), x)
        if now is None and (start := self.layer.cell.clock(None, 1, x.device)) is not None:
            now = start[0] + self.steps
        self.steps += 1
        output, self.state = self.layer(
            x.unsqueeze(axis),
            self.state,
            resets=None if reset is None else reset.unsqueeze(axis),
            times=None if now is None else now.unsqueeze(axis if now.dim() else 0),
        )
        return output.squeeze(axis)

    def _time_axis(self, x: Any) -> int:
        """Return where the axis of time goes into a step's input."""
        lead = int(self.layer.replicas is not None)
        if not isinstance(x, Tensor) or x.dim() not in (1 + lead, 2 + lead):
            told = f"shape {tuple(x.shape)}" if isinstance(x, Tensor) else f"type {type(x).__name__}"
            lead_axis = "R, " if lead else ""
            raise ShapeError(f"a step's input has {told}; expected ({lead_axis}B, {self.layer.input_size})")
        return lead + int(self.layer.batch_first and x.dim() == 2 + lead)
