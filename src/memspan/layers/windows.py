"""A long sequence in pieces: truncated back-propagation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor

from memspan.cells.cell import State
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
        >>> import torch
        >>> from memspan.layers import LSTM
        >>> [tuple(output.shape) for output, _ in truncated(LSTM(3, 5), torch.zeros(7, 4, 3), 3)]
        [(3, 4, 5), (3, 4, 5), (1, 4, 5)]
    """
    checks.one_direction(layer, "a window cannot know what comes after it")
    window, layout = checks.whole("window", window), checks.layout_of(layer, input)
    x = layout.inward(input)
    ends = None if lengths is None else checks.lengths_of(lengths, layout, x)
    cuts = None if resets is None else checks.resets_of(resets, layout, x)
    clock = None if times is None else checks.times_of(times, layout, x, ends)
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
