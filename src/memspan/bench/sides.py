"""The two sides of a race: our kernel and ``torch.nn``, on one problem with the same weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from memspan.bench.points import SHORTEST, TRAINING, Point
from memspan.cells import CELLS
from memspan.cells.cell import Cell
from memspan.kernels import unroll
from memspan.kernels.unrolling import KernelName

Results = list[Tensor]
Call = Callable[[], Results]
DENSE, PACKED, PADDED = "torch.nn", "torch.nn packed", "torch.nn padded"
FRESH = " as it comes"  # behind a peer's name: in a process of its own, freed memory goes back to the system
LAYERS: dict[str, Callable[[int, int], nn.RNNBase]] = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}

TOLERANCE = 2e-5
"""Largest difference from ``torch.nn``, as a part of a tensor's largest entry.

Both sides round to float32 in another order: a weight's gradient sums up to 128,000 terms, each off by a
few of the last bits (6e-8). Measured: at most 8.3e-6, at T = 1000.
"""


@dataclass(frozen=True)
class Problem:
    """Weights, input and gradients from above at one point, the same for every side.

    Shapes:
        x (R, T, B, 1), above (R, T, B, H), lengths (R, B) or None; layers: one a replica.
    """

    point: Point
    cell: Cell
    layers: list[nn.RNNBase]
    x: Tensor
    above: Tensor
    lengths: Tensor | None

    @classmethod
    def at(cls, point: Point) -> Problem:
        """Draw the problem of a point; the same point gives the same problem."""
        draws = torch.Generator().manual_seed(0)
        shape = (point.R, point.T, point.B)
        lengths = None
        if point.ragged:
            shortest = min(SHORTEST, point.T)
            lengths = torch.randint(shortest, point.T + 1, (point.R, point.B), generator=draws)
        return cls(
            point,
            CELLS.resolve(point.cell)(1, point.H),
            [_layer(point, draws) for _ in range(point.R)],
            torch.randn(*shape, 1, generator=draws),
            torch.randn(*shape, point.H, generator=draws),
            lengths,
        )

    @property
    def steps(self) -> int:
        """True steps of all rows and replicas."""
        return self.point.R * self.point.T * self.point.B if self.lengths is None else int(self.lengths.sum())

    @property
    def training(self) -> bool:
        """Whether gradients are asked for."""
        return self.point.passes == TRAINING


def _layer(point: Point, draws: torch.Generator) -> nn.RNNBase:
    layer = LAYERS[point.cell](1, point.H)
    with torch.no_grad():
        for weight in layer.parameters():
            weight.uniform_(-(point.H**-0.5), point.H**-0.5, generator=draws)
    return layer


def ours(problem: Problem, every: bool = False, kernel: KernelName = "cpu") -> Call:
    """Return a call of one of our kernels.

    Args:
        problem: what to do.
        every: ask for the outputs of every step, and feed a gradient into each; else the last state's.
        kernel: ``"cpu"``, or ``"reference"`` for the plain loop over the cell's step.

    Returns:
        A call that returns outputs (R, T, B, H) or last states (R, B, H), then every weight's gradient.
    """
    names = problem.cell.parameter_shapes()
    p = {
        name: torch.stack(
            [getattr(layer, f"{name}_l0").detach() for layer in problem.layers]
        ).requires_grad_()
        for name in names
    }
    above = _above(problem, every)
    outputs: Literal["all", "last"] = "all" if every else "last"

    def call() -> Results:
        with torch.set_grad_enabled(problem.training):
            made = unroll(
                problem.cell, p, problem.x, lengths=problem.lengths, outputs=outputs, kernel=kernel
            ).outputs
        return [made, *torch.autograd.grad(made, list(p.values()), above)] if problem.training else [made]

    return call


def _above(problem: Problem, every: bool) -> Tensor:
    """Return the gradient from above; nothing comes from past a row's end."""
    if not every:
        return problem.above[:, -1].contiguous()
    if problem.lengths is None:
        return problem.above
    live = torch.arange(problem.point.T)[:, None] < problem.lengths[:, None]
    return problem.above * live.unsqueeze(-1)


def torch_side(problem: Problem, peer: str, every: bool = False) -> Callable[[], list[Results]]:
    """Return a call of ``torch.nn``, dense, packed or padded: one layer a replica, one after the other.

    Packing is done beforehand, in torch's favour. The call returns, for each replica, what ``ours`` returns.
    """
    above = _above(problem, every)
    read = [_reader(problem, peer, every, r) for r in range(problem.point.R)]
    weights = [list(layer.parameters()) for layer in problem.layers]

    def call() -> list[Results]:
        found = []
        for r, forward in enumerate(read):
            with torch.set_grad_enabled(problem.training):
                made = forward()
            found.append(
                [made, *torch.autograd.grad(made, weights[r], above[r])] if problem.training else [made]
            )
        return found

    return call


def _reader(problem: Problem, peer: str, every: bool, r: int) -> Callable[[], Tensor]:
    """Return the forward pass of one replica."""
    layer, x = problem.layers[r], problem.x[r]
    if peer == PACKED:
        assert problem.lengths is not None
        packed = pack_padded_sequence(x, problem.lengths[r], enforce_sorted=False)
        if every:
            return lambda: pad_packed_sequence(layer(packed)[0], total_length=problem.point.T)[0]
        return lambda: _last(layer(packed)[1])
    if peer == PADDED and not every:
        assert problem.lengths is not None
        ends, rows = problem.lengths[r] - 1, torch.arange(problem.point.B)
        return lambda: layer(x)[0][ends, rows]
    return (lambda: layer(x)[0]) if every else (lambda: _last(layer(x)[1]))


def _last(state: Tensor | tuple[Tensor, Tensor]) -> Tensor:
    return (state[0] if isinstance(state, tuple) else state)[0]


def peers_of(point: Point) -> tuple[str, ...]:
    """Return torch's ways to do a point."""
    return (PACKED, PADDED) if point.ragged else (DENSE,)


def worst_error(mine: Results, theirs: Sequence[Results]) -> float:
    """Return the largest difference as a part of its tensor's largest entry; NaN counts as infinite."""
    worst = 0.0
    for one, parts in zip(mine, zip(*theirs, strict=True), strict=True):
        other = torch.stack(parts)
        scale = float(other.detach().abs().max().clamp_min(1e-30))
        error = float((one - other).detach().abs().max()) / scale
        worst = max(worst, error if error == error else float("inf"))
    return worst


def check(problem: Problem) -> float:
    """Return our largest error against ``torch.nn``: last states, every output, and all gradients of both."""
    peer = peers_of(problem.point)[0]
    return max(
        worst_error(ours(problem, every)(), torch_side(problem, peer, every)()) for every in (False, True)
    )
