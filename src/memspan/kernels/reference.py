"""The reference: a plain loop over time in torch, for any cell, dtype and device, differentiable twice."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from memspan.cells.cell import Cell, Parameters, State
from memspan.errors import ShapeError
from memspan.transforms import is_plain, is_watched

ALIGNED = 64
"""Bytes: every tensor that torch makes begins at a multiple."""


def unroll_reference(
    cell: Cell,
    p: Parameters,
    x: Tensor,
    state: State,
    *,
    times: Tensor | None = None,
    lengths: Tensor | None = None,
    resets: Tensor | None = None,
    return_gates: bool = False,
) -> tuple[Tensor, State, dict[str, Tensor], dict[str, Tensor]]:
    """Unroll a cell over every replica of a pack, one after the other.

    Batched products promise no bits, so a replica never shares a product with its pack.

    Shapes:
        As in ``unroll``; ``times`` (T,) or (R, T, B).

    Returns:
        outputs (R, T, B, H), the last state, every state by name, every gate by name (or none).
    """
    runs = []
    for r in range(x.shape[0]):
        mine = {name: alone(value, r) for name, value in p.items()}
        ends, cuts = (None if t is None else t[r] for t in (lengths, resets))
        clock = times if times is None or times.dim() == 1 else times[r]
        begin = tuple(alone(part, r) for part in state)
        runs.append(_one(cell, mine, alone(x, r), begin, clock, ends, cuts, return_gates))
    outputs = _stack([run[0] for run in runs], x.shape[:3], state[0])
    last = tuple(_stack([run[1][k] for run in runs], s.shape[:-1], s) for k, s in enumerate(state))
    states = {n: _stack([run[2][n] for run in runs], x.shape[:3], state[0]) for n in cell.states}
    names = cell.gates if return_gates else ()
    gates = {n: _stack([run[3][n] for run in runs], x.shape[:3], state[0]) for n in names}
    return outputs, last, states, gates


def alone(packed: Tensor, replica: int) -> Tensor:
    """Return a replica's part of a packed tensor at an address such as it would have alone.

    The last bit of torch's products depends on where their operands begin, on some hosts.
    """
    part = packed[replica]
    if is_watched() or not is_plain(part) or part.data_ptr() % ALIGNED == 0:
        return part
    return part.clone()


def check_values(x: Tensor, size: int, lengths: Tensor | None) -> None:
    """Refuse lengths outside 0 … T and, within the lengths, symbols outside 0 … size − 1."""
    T = x.shape[1]
    if lengths is not None and lengths.numel() and (lengths.min() < 0 or lengths.max() > T):
        raise ShapeError(
            f"lengths run from {int(lengths.min())} to {int(lengths.max())}; expected 0 to T = {T}"
        )
    if x.dtype.is_floating_point or not x.numel():
        return
    if lengths is not None:
        past = torch.arange(T, device=x.device).view(1, T, 1) >= lengths.unsqueeze(1)
        x = x.masked_fill(past, 0)
    low, high = x.aminmax()
    if low < 0 or high >= size:
        raise ShapeError(f"symbols run from {int(low)} to {int(high)}; expected 0 to {size - 1}")


def _stack(parts: list[Tensor], leading: Any, like: Tensor) -> Tensor:
    """Stack along a new first axis; an empty list gives an empty tensor of the right shape."""
    return torch.stack(parts) if parts else like.new_zeros(*leading, like.shape[-1])


def _one(
    cell: Cell, p: Parameters, x: Tensor, state: State, times: Tensor | None,
    lengths: Tensor | None, resets: Tensor | None, return_gates: bool,
) -> tuple[Tensor, State, dict[str, Tensor], dict[str, Tensor]]:  # fmt: skip
    """Unroll one replica: x (T, B, D) or symbols (T, B)."""
    outputs: list[Tensor] = []
    states: dict[str, list[Tensor]] = {name: [] for name in cell.states}
    gates: dict[str, list[Tensor]] = {name: [] for name in cell.gates}
    for t in range(x.shape[0]):
        live = None if lengths is None else (t < lengths).unsqueeze(-1)
        if resets is not None:
            cut = resets[t].unsqueeze(-1) if live is None else resets[t].unsqueeze(-1) & live
            state = tuple(torch.where(cut, torch.zeros_like(s), s) for s in state)
        now = _input(cell, x[t], live, state[0])
        if return_gates:
            for name, value in cell.gate_values(p, now, state).items():
                gates[name].append(_masked(value, live))
        new = cell.step(p, now, state, None if times is None else times[t])
        if live is not None:
            state = tuple(torch.where(live, n, s) for n, s in zip(new, state, strict=True))
        else:
            state = new
        outputs.append(_masked(new[0], live))
        for name, value in zip(cell.states, new, strict=True):
            states[name].append(_masked(value, live))
    shape = x.shape[:2]
    return (
        _stack(outputs, shape, state[0]),
        state,
        {name: _stack(values, shape, state[0]) for name, values in states.items()},
        {name: _stack(values, shape, state[0]) for name, values in gates.items() if return_gates},
    )


def _input(cell: Cell, x: Tensor, live: Tensor | None, like: Tensor) -> Tensor:
    """Return one step's input; what lies past a row's end is not looked at, even if it is NaN."""
    if x.dtype.is_floating_point:
        return _masked(x, live)
    inside = x.long() if live is None else torch.where(live.squeeze(-1), x.long(), 0)
    symbols = torch.arange(cell.input_size, device=x.device)  # one_hot looks at values, which tracers forbid
    return (inside.unsqueeze(-1) == symbols).to(like.dtype)


def _masked(value: Tensor, live: Tensor | None) -> Tensor:
    return value if live is None else torch.where(live, value, torch.zeros_like(value))
