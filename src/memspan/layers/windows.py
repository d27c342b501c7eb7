"""A long sequence in pieces: truncated back-propagation, and inference step by step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from memspan.cells.cell import State
from memspan.errors import ArgumentError, ShapeError
from memspan.layers import checks
from memspan.layers.checks import Lengths
from memspan.layers.recurrent import Recurrent


def detached(hx: Any) -> Any:
    """Return a state without its history: the values go on, gradients stop here."""
    return tuple(part.detach() for part in hx) if isinstance(hx, (tuple, list)) else hx.detach()


def truncated(
    layer: Recurrent,
    input: Tensor,
    window: int,
    hx: Tensor | State | None = None,
    *,
    lengths: Lengths | None = None,
    resets: Tensor | None = None,
    times: Tensor | None = None,
) -> Iterator[tuple[Tensor, Any]]:
    """Run a layer window by window, carrying the state and cutting its history between two windows.

    Args:
        layer: one direction only.
        input: as in the layer's call; the last window may be shorter.
        window: steps a gradient may travel.
        hx, lengths, resets, times: as in the layer's call, for the whole sequence.

    Returns:
        An iterator over (output, state) of every window; call ``backward`` on a loss before going on.

    Raises:
        ArgumentError: a bidirectional layer, or a window shorter than one step.

    Source:
        R. Williams & J. Peng (1990), "An efficient gradient-based algorithm for on-line training of recurrent
        network trajectories".

    Example:
        >>> from memspan.layers import LSTM
        >>> [tuple(output.shape) for output, _ in truncated(LSTM(3, 5), torch.zeros(7, 4, 3), 3)]
        [(3, 4, 5), (3, 4, 5), (1, 4, 5)]
    """
    _one_direction(layer, "a window cannot know what comes after it")
    window, layout = checks.whole("window", window), checks.layout_of(layer, input)
    x = layout.inward(input)
    ends = None if lengths is None else checks.lengths_of(lengths, layout, x)
    cuts = None if resets is None else checks.resets_of(resets, layout, x)
    clock = None if times is None else checks.times_of(times, layout, x)
    clock = layer.cell.clock(clock, x.shape[1], x.device)
    for start in range(0, x.shape[1], window):
        now = slice(start, start + window)
        part = x[:, now]
        rest = None if ends is None else (ends - start).clamp(0, part.shape[1])
        output, hx = layer(
            layout.outward(part),
            hx,
            lengths=None if rest is None else rest if layout.replicas else rest[0],
            resets=None if cuts is None else layout.marks_outward(cuts[:, now]),
            times=_clock_of(clock, now, layout),
        )
        yield output, hx
        hx = detached(hx)


def _clock_of(clock: Tensor | None, now: slice, layout: Any) -> Tensor | None:
    if clock is None:
        return None
    return clock[now] if clock.dim() == 1 else layout.marks_outward(clock[:, now])


def _one_direction(layer: Recurrent, why: str) -> None:
    if layer.bidirectional:
        raise ArgumentError(f"the layer is bidirectional, and {why}; use one direction")


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
        >>> step = Stream(layer)
        >>> torch.allclose(torch.stack([step(now) for now in x]), layer(x)[0], atol=1e-6)
        True
    """

    def __init__(self, layer: Recurrent, hx: Tensor | State | None = None) -> None:
        _one_direction(layer, "its reverse direction begins at the end of the sequence")
        self.layer, self.state, self.steps = layer, hx, 0

    @torch.no_grad()
    def __call__(self, x: Tensor, *, reset: Tensor | None = None, time: Tensor | None = None) -> Tensor:
        """Return the output of one step.

        Args:
            x: the input.
            reset: bool (B,): true where a row's state is made zero first.
            time: the timestamp, () or (B,), for cells with a clock; they count 0, 1, 2, … if not told.
        """
        axis = self._time_axis(x)
        if time is None and (start := self.layer.cell.clock(None, 1, x.device)) is not None:
            time = start[0] + self.steps
        self.steps += 1
        output, self.state = self.layer(
            x.unsqueeze(axis),
            self.state,
            resets=None if reset is None else reset.unsqueeze(axis),
            times=None if time is None else time.unsqueeze(axis if time.dim() else 0),
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
