"""Every check of what a caller gives a layer: a message says what was given, expected, and what to do."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from memspan.cells.cell import Cell
from memspan.cells.time_gate.times import check_times
from memspan.errors import ArgumentError, ShapeError
from memspan.layers.form import Form
from memspan.layers.layout import Layout
from memspan.transforms import is_readable

Lengths = Sequence[int] | Sequence[Sequence[int]] | Tensor
INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)


def whole(name: str, value: Any, least: int = 1) -> int:
    """Return a whole number of at least ``least``."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise ArgumentError(f"{name}={value!r}: expected a whole number, got {type(value).__name__}")
    if value < least:
        raise ArgumentError(f"{name}={value!r}: expected at least {least}")
    return int(value)


def flag(name: str, value: Any) -> bool:
    """Return True or False; words and numbers are refused, as ``"False"`` would count as true."""
    if not isinstance(value, (bool, np.bool_)):
        raise ArgumentError(f"{name}={value!r}: expected True or False, got {type(value).__name__}")
    return bool(value)


def sizes(input_size: Any, hidden_size: Any, bias: Any) -> tuple[int, int, int]:
    """Return a cell's first three arguments: D, H and the number of biases."""
    biases = 2 if flag("bias", bias) else 0
    return whole("input_size", input_size), whole("hidden_size", hidden_size), biases


def share(name: str, value: Any) -> float:
    """Return a number in 0 … 1."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise ArgumentError(f"{name}={value!r}: expected a number in 0 … 1, the share that is set to zero")
    return float(value)


def layout_of(layer: Form, x: Any) -> Layout:
    """Return the layout of an input, or refuse it: rank, size, dtype, device."""
    if not isinstance(x, Tensor):
        raise ShapeError(f"input is a {type(x).__name__}; expected a Tensor or a PackedSequence")
    lead = int(layer.replicas is not None)
    if x.dim() not in (2 + lead, 3 + lead):
        raise ShapeError(f"input has {x.dim()} axes, shape {tuple(x.shape)}; expected {_axes(layer)}")
    if x.shape[-1] != layer.input_size:
        raise ShapeError(
            f"input has {x.shape[-1]} features, shape {tuple(x.shape)}; expected input_size "
            f"{layer.input_size} in the last axis of {_axes(layer)}"
        )
    if lead and x.shape[0] != layer.replicas:
        raise ShapeError(f"input has {x.shape[0]} replicas, not {layer.replicas}; expected {_axes(layer)}")
    same_kind("input", x, layer.weight)
    return Layout(bool(lead), layer.batch_first, x.dim() == 3 + lead)


def _axes(layer: Form) -> str:
    lead = "R, " if layer.replicas is not None else ""
    batched = "B, T" if layer.batch_first else "T, B"
    return f"({lead}{batched}, {layer.input_size}), or ({lead}T, {layer.input_size}) without a batch"


def same_kind(name: str, x: Tensor, weight: Tensor) -> None:
    """Refuse a tensor whose dtype or device is not the weights'."""
    if x.dtype != weight.dtype:
        raise ShapeError(
            f"{name} has dtype {x.dtype}, the weights {weight.dtype}; convert one with .to(...), "
            "or one_hot(...) symbols first"
        )
    if x.device != weight.device:
        raise ArgumentError(f"{name} is on {x.device}, the weights on {weight.device}; move one with .to()")


def state_of(layer: Form, hx: Any, layout: Layout, batch: int) -> tuple[Tensor, ...]:
    """Return the parts of an initial state, each (R, layers·directions, B, H), or refuse it."""
    shape = (
        *((layer.replicas,) if layout.replicas else ()),
        layer.num_layers * layer.directions,
        *((batch,) if layout.batched else ()),
        layer.hidden_size,
    )
    return tuple(layout.state_inward(part) for part in parts_of(layer.cell, hx, shape, layer.weight))


def parts_of(cell: Cell, hx: Any, shape: tuple[Any, ...], like: Tensor) -> tuple[Tensor, ...]:
    """Return the parts of a cell's state, each of this very shape, or refuse it; None is the cell's own."""
    if hx is None:
        return cell.initial_state(*shape[:-1], like=like)
    several = len(cell.states) > 1
    given = isinstance(hx, (tuple, list))
    if given != several or (given and len(hx) != len(cell.states)):
        wanted = f"a tuple ({', '.join(f'{n}_0' for n in cell.states)})" if several else "one tensor"
        raise ShapeError(f"hx is {_told(hx)}; expected {wanted}")
    parts = tuple(hx) if given else (hx,)
    for name, part in zip(cell.states, parts, strict=True):
        exactly(f"hx: {name}_0", part, shape)
        same_kind(f"hx: {name}_0", part, like)
    return parts


def _told(hx: Any) -> str:
    return f"{len(hx)} parts" if isinstance(hx, (tuple, list)) else f"a {type(hx).__name__}"


def exactly(name: str, x: Any, shape: Sequence[int | None]) -> None:
    """Refuse whatever is not a tensor of this very shape."""
    if not isinstance(x, Tensor):
        raise ShapeError(f"{name} is a {type(x).__name__}; expected a Tensor of shape {tuple(shape)}")
    if tuple(x.shape) != tuple(shape):
        raise ShapeError(f"{name} has shape {tuple(x.shape)}; expected {tuple(shape)}; nothing is broadcast")


def lengths_of(lengths: Lengths, layout: Layout, x: Tensor) -> Tensor:
    """Return lengths (R, B) in 0 … T for an input (R, T, B, D), or refuse them."""
    if not layout.batched:
        raise ArgumentError("lengths were given without a batch; cut the sequence instead, or add an axis B")
    t = lengths if isinstance(lengths, Tensor) else _tensor(lengths)
    if t.dtype not in INTEGERS:
        raise ShapeError(f"lengths have dtype {t.dtype}; expected whole numbers, for instance torch.int64")
    R, T, B = x.shape[:3]
    exactly("lengths", t, (R, B) if layout.replicas else (B,))
    if is_readable(t) and t.numel() and (int(t.min()) < 0 or int(t.max()) > T):
        raise ArgumentError(f"lengths span {int(t.min())} … {int(t.max())}; expected 0 … T = {T}")
    t = t.to(device=x.device, dtype=torch.int64)
    return t if layout.replicas else t.unsqueeze(0)


def _tensor(lengths: Any) -> Tensor:
    try:
        t = torch.as_tensor(lengths, device="cpu")
    except (TypeError, ValueError, RuntimeError):
        raise ShapeError(f"lengths are {lengths!r}; expected whole numbers, one a sequence") from None
    return t.to(torch.int64) if t.numel() == 0 else t


def resets_of(resets: Any, layout: Layout, x: Tensor, name: str = "resets") -> Tensor:
    """Return resets (R, T, B) for an input (R, T, B, D), or refuse them."""
    exactly(name, resets, marks_shape(layout, x))
    if resets.dtype != torch.bool:
        raise ShapeError(
            f"{name} has dtype {resets.dtype}; expected torch.bool, true where a state starts anew"
        )
    return layout.marks_inward(resets.to(x.device))


def times_of(times: Any, layout: Layout, x: Tensor, ends: Tensor | None = None) -> Tensor:
    """Return timestamps (T,) or (R, T, B) for an input (R, T, B, D), or refuse them.

    Args:
        ends: lengths (R, B); the times of rows past their ends become 0 and are not looked at.
    """
    if not isinstance(times, Tensor):
        raise ShapeError(f"times are a {type(times).__name__}; expected a Tensor, best torch.float64")
    shape = marks_shape(layout, x)
    if tuple(times.shape) not in ((x.shape[1],), shape):
        raise ShapeError(f"times have shape {tuple(times.shape)}; expected ({x.shape[1]},) or {shape}")
    times = times.to(x.device)
    if tuple(times.shape) != (x.shape[1],):
        times = layout.marks_inward(times)
        if ends is not None:
            steps = torch.arange(x.shape[1], device=x.device).view(1, -1, 1)
            times = times.masked_fill(steps >= ends.unsqueeze(1), 0)
    check_times(times)
    return times


def time_of(time: Any, rows: tuple[int, ...], like: Tensor) -> Tensor | None:
    """Return the timestamp of one step, () for all rows or one for each, or refuse it; None stays None."""
    if time is None:
        return None
    if isinstance(time, numbers.Real) and not isinstance(time, bool):
        dtype = torch.int64 if isinstance(time, numbers.Integral) else torch.float64
        time = torch.tensor(time, dtype=dtype, device="cpu")
    if not isinstance(time, Tensor):
        raise ShapeError(f"time is a {type(time).__name__}; expected a number or a Tensor")
    if tuple(time.shape) not in ((), rows):
        raise ShapeError(f"time has shape {tuple(time.shape)}; expected () or {rows}; nothing is broadcast")
    check_times(time)
    return time.to(like.device)


def marks_shape(layout: Layout, x: Tensor) -> tuple[int, ...]:
    """Return the shape a caller gives one value a step, for an input (R, T, B, D)."""
    R, T, B = x.shape[:3]
    steps = (T,) if not layout.batched else (B, T) if layout.batch_first else (T, B)
    return (R, *steps) if layout.replicas else steps


def one_direction(layer: Form, why: str) -> None:
    """Refuse a bidirectional layer with the reason."""
    if layer.bidirectional:
        raise ArgumentError(f"the layer is bidirectional, and {why}; use one direction")
