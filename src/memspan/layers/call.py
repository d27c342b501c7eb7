"""One call of a layer, its arguments checked and brought to the kernels' axes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from memspan.cells.cell import State
from memspan.errors import ArgumentError
from memspan.kernels import Unrolled
from memspan.layers import checks
from memspan.layers.checks import Lengths
from memspan.layers.direction import Turn
from memspan.layers.form import Form
from memspan.layers.layout import Layout


@dataclass(frozen=True)
class Call:
    """Checked arguments; ``resets`` and ``times`` once for each direction, already in its order of time.

    Shapes:
        x (R, T, B, D); every part of state (R, layers·directions, B, H); lengths (R, B); resets (R, T, B);
        times (T,) or (R, T, B).
    """

    x: Tensor
    state: State | None
    lengths: Tensor | None
    resets: tuple[Tensor | None, ...]
    times: tuple[Tensor | None, ...]
    turn: Turn | None

    @classmethod
    def of(
        cls,
        layer: Form,
        layout: Layout,
        x: Tensor,
        hx: Any,
        lengths: Lengths | None,
        resets: Any,
        times: Tensor | None,
    ) -> Call:
        """Check the arguments of a call whose input (R, T, B, D) is already in place."""
        ends = None if lengths is None else checks.lengths_of(lengths, layout, x)
        turn = Turn(ends, x.shape[1]) if layer.bidirectional else None
        cuts = _for_each_direction(layer, resets)
        cuts = tuple(None if c is None else checks.resets_of(c, layout, x) for c in cuts)
        clock = None if times is None else checks.times_of(times, layout, x, ends)
        clock = layer.cell.clock(clock, x.shape[1], x.device)
        return cls(
            x,
            _initial_state(layer, layout, hx, x.shape[2]),
            ends,
            tuple(c if c is None or d == 0 else turn(c) for d, c in enumerate(cuts)),  # type: ignore[misc]
            (clock, *([_turned_times(clock, turn, x)] if turn is not None else [])),
            turn,
        )

    def turned(self, x: Tensor, d: int) -> Tensor:
        """Return x as direction d reads it."""
        return x if d == 0 or self.turn is None else self.turn(x)

    def turned_back(self, made: Unrolled, d: int) -> Unrolled:
        """Return what direction d made in the input's order of time."""
        if d == 0 or self.turn is None:
            return made
        turn = self.turn
        states, gates = ({n: turn(v) for n, v in f.items()} if f else f for f in (made.states, made.gates))
        return made._replace(outputs=turn(made.outputs), states=states, gates=gates)

    def state_of(self, number: int) -> State | None:
        """Return the initial state (R, B, H) of one layer and direction."""
        return None if self.state is None else tuple(s[:, number] for s in self.state)

    def told(self, layer: Form, layout: Layout, last: State, *extras: Any) -> tuple[Any, ...]:
        """Return last state, states and gates (where asked for) in the caller's layout."""
        parts = tuple(layout.state_outward(s) for s in last)
        dicts = ({n: layout.state_outward(v) for n, v in e.items()} for e in extras if e is not None)
        return (parts if len(layer.cell.states) > 1 else parts[0], *dicts)


def _for_each_direction(layer: Form, resets: Any) -> tuple[Any, ...]:
    if not isinstance(resets, (tuple, list)):
        return (resets,) * layer.directions
    if len(resets) != layer.directions:
        raise ArgumentError(
            f"resets hold {len(resets)} tensors; expected one a direction, {layer.directions}"
        )
    return tuple(resets)


def _initial_state(layer: Form, layout: Layout, hx: Any, batch: int) -> State | None:
    if hx is not None:
        return checks.state_of(layer, hx, layout, batch)
    if not layer.trainable_state:
        return None
    parts = [getattr(layer, f"initial_{name}") for name in layer.cell.states]
    parts = parts if layout.replicas else [part.unsqueeze(0) for part in parts]
    return tuple(part.unsqueeze(2).expand(-1, -1, batch, -1) for part in parts)


def _turned_times(times: Tensor | None, turn: Turn, x: Tensor) -> Tensor | None:
    """Turn timestamps around with their steps: each step keeps its own."""
    if times is None or (times.dim() == 1 and turn.order is None):
        return None if times is None else times.flip(0)
    return turn(times.view(1, -1, 1).expand(x.shape[:3]) if times.dim() == 1 else times)


@contextlib.contextmanager
def full_precision(given: Tensor | PackedSequence, weight: Tensor) -> Iterator[Callable[[Any], Any]]:
    """Switch autocast off and yield what brings a float tensor to the weights' dtype; without it, nothing."""
    device = weight.device.type
    if not (torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)):
        yield lambda value: value
        return
    with torch.autocast(device, enabled=False):
        yield lambda value: _cast(value, weight.dtype)


def _cast(value: Any, dtype: torch.dtype) -> Any:
    if isinstance(value, PackedSequence):
        return value.to(dtype)
    if isinstance(value, (tuple, list)):
        return tuple(_cast(part, dtype) for part in value)
    return value.to(dtype) if isinstance(value, Tensor) and value.is_floating_point() else value
