"""Whole layers against ``torch.nn``: two layers, two directions, dense and ragged; equality first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from memspan.bench.points import SHORTEST
from memspan.bench.sides import DENSE, PACKED, PADDED, TOLERANCE
from memspan.bench.timing import Effort, Side, Watch, race
from memspan.layers import GRU, LSTM
from memspan.machine import code_version

OURS = "ours"
PAIRS: dict[str, tuple[type[nn.Module], type[nn.Module]]] = {"gru": (GRU, nn.GRU), "lstm": (LSTM, nn.LSTM)}
Call = Callable[[], list[Tensor]]


@dataclass(frozen=True)
class LayerPoint:
    """A two-layer bidirectional layer, forward and backward with every weight's gradient.

    Args:
        cell: gru or lstm.
        ragged: lengths uniform on 10 … T instead of T everywhere.
        threads: cores that either side may use.
        T, B, D, H: steps, batch, input features, width.
    """

    cell: str
    ragged: bool
    threads: int = 2
    T: int = 100
    B: int = 128
    D: int = 128
    H: int = 128


class Problem:
    """Two layers with the same weights, an input and a gradient from above; the same for every side."""

    def __init__(self, point: LayerPoint) -> None:
        torch.manual_seed(0)
        mine, theirs = PAIRS[point.cell]
        self.point = point
        self.theirs = theirs(point.D, point.H, num_layers=2, bidirectional=True)
        self.mine = mine(point.D, point.H, num_layers=2, bidirectional=True)
        self.mine.load_state_dict(self.theirs.state_dict())
        self.x = torch.randn(point.T, point.B, point.D)
        self.above = torch.randn(point.T, point.B, 2 * point.H)
        self.lengths = torch.full((point.B,), point.T)
        if point.ragged:
            self.lengths = torch.randint(min(SHORTEST, point.T), point.T + 1, (point.B,))
            self.above *= (torch.arange(point.T)[:, None] < self.lengths)[..., None]

    def ours(self) -> list[Tensor]:
        """Return our output and gradients."""
        ends = self.lengths if self.point.ragged else None
        return self._pulled(self.mine, self.mine(self.x, lengths=ends)[0])

    def dense(self) -> list[Tensor]:
        """Return torch's over the whole padded input."""
        return self._pulled(self.theirs, self.theirs(self.x)[0])

    def packed(self) -> Call:
        """Return the call of torch's packed way; packing is done beforehand, in its favour."""
        rows = pack_padded_sequence(self.x, self.lengths, enforce_sorted=False)

        def call() -> list[Tensor]:
            output = pad_packed_sequence(self.theirs(rows)[0], total_length=self.point.T)[0]
            return self._pulled(self.theirs, output)

        return call

    def _pulled(self, layer: nn.Module, output: Tensor) -> list[Tensor]:
        return [output, *torch.autograd.grad(output, list(layer.parameters()), self.above)]

    def peers(self) -> dict[str, Call]:
        """Return torch's ways to do it, the one that computes the same first."""
        return {PACKED: self.packed(), PADDED: self.dense} if self.point.ragged else {DENSE: self.dense}


def measure(point: LayerPoint, effort: Effort | None = None) -> list[dict[str, Any]]:
    """Return a row a peer; a layer that fails the check is not timed.

    Differs:
        The padded peer of a ragged point is timed as people use it, though its reverse direction reads the
        padding first and its results differ.
    """
    watch, problem = Watch(), Problem(point)
    peers = problem.peers()
    error = _worst(problem.ours(), next(iter(peers.values()))())
    facts = {**asdict(point), "layers": 2, "bidirectional": True, "error": error, "code": code_version()}
    facts["equal"] = error <= TOLERANCE
    if not facts["equal"]:
        return [{**facts, "peer": peer} for peer in peers]
    modes = range(1, point.threads + 1)
    sides = [Side(name, n, call) for name, call in {OURS: problem.ours, **peers}.items() for n in modes]
    timed = race(sides, effort)
    mine, foreign = timed.pop(OURS), watch.foreign()
    return [
        {
            **facts, "peer": peer, "ours_ms": mine.ms, "peer_ms": time.ms, "ratio": time.ms / mine.ms,
            "ours_threads": mine.threads, "peer_threads": time.threads,
            "calls": min(mine.calls, time.calls), "foreign_cores": foreign,
        }
        for peer, time in timed.items()
    ]  # fmt: skip


def _worst(mine: list[Tensor], theirs: list[Tensor]) -> float:
    """Return the largest difference as a part of its tensor's largest entry; NaN counts as infinite."""
    parts = [
        ((a - b).detach().abs().max() / b.detach().abs().max().clamp_min(1e-30)).item()
        for a, b in zip(mine, theirs, strict=True)
    ]
    return max(part if part == part else float("inf") for part in parts)
