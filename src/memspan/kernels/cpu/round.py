"""Whole updates of one layer and its read-out, from inputs to new weights, several in one compiled call.

Between the walks of a small network Python costs as much as they do, and more once they have driven it out of
the caches. Here every buffer stays where it is, so that a round fills in inputs and targets and calls once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from memspan.cells.cell import Cell, Parameters
from memspan.cells.time_gate.equations import TimeGate
from memspan.kernels.cpu import call, engine, threads
from memspan.kernels.cpu.layout import WEIGHTS, Given
from memspan.kernels.cpu.learning import ReadOut, Update
from memspan.kernels.reference import check_values


class Round:
    """Updates of R replicas: a walk forward from a zero state, read-out, walk backward, clipping and rule.

    A tile of rows goes all the way before the next one: so what the walk backward reads is still near, and a
    thread needs no more memory than one tile does. The kernels are those of ``unroll``, ``ReadOut`` and
    ``Update``, and so are the bits.

    Shapes:
        p and gradients: name → views (R, …) into flat rows, equally far apart in both. x (R, T, B, D) or
        (R, T, B), targets (R, 1, B, A), alike in every update.

    Args:
        read_out, update: of these rows and at least ``turns`` turns; they serve this round alone.
        turns: updates in one call at most.
    """

    def __init__(
        self, cell: Cell, p: Parameters, gradients: Parameters, read_out: ReadOut, update: Update,
        x: Tensor, targets: Tensor, turns: int,
    ) -> None:  # fmt: skip
        self.read_out, self.update, self.size, self.turns = read_out, update, cell.input_size, turns
        self.shape = x.shape
        self.x = torch.empty(turns, *x.shape, dtype=torch.float32 if x.is_floating_point() else torch.int64)
        self.targets = read_out.checked(targets).new_empty(turns, *targets.shape)
        operands = _operands(cell, self.x[0], p)
        plan = call.plan_of(operands, call.variant_of(cell))
        wanted = threads.wanted() if plan.operations(3) >= engine.SHARED_WORK else 1
        last = engine.buffer(1 + len(plan.spec.carried), plan.R, plan.B, plan.H)
        features, d_features = last[0].unsqueeze(1), engine.buffer(plan.R, 1, plan.B, plan.H)
        saved = engine.buffer(min(wanted, plan.R * plan.tiles), plan.saved_size)
        given = Given(*operands).tensors()
        below = {f"d_{name}": gradients.get(name) for name in WEIGHTS}
        row = p["weight_hh"].stride(0) * p["weight_hh"].element_size()
        there = engine.Bound(plan, {**given, "last": last}, saved, wanted, row)
        back = engine.Bound(plan, {**given, "d_last": d_features, **below}, saved, wanted, row)
        (judge, shares), gather = read_out.phases(features, self.targets[0], d_features, wanted)
        assert shares == list(there.layout.shares)
        through = threads.Relay(
            (threads.Walk(plan.forward, there.jobs), judge, threads.Walk(plan.backward.backward, back.jobs))
        )
        assert len(read_out.shown) == len(update.numbers) == turns
        phases: list[tuple[threads.Walk | threads.Relay, threads.Shares]] = [
            (through, shares), (threads.Walk(plan.backward.gather, back.jobs), back.layout.gathers), gather,
            update.phase(wanted),
        ]  # fmt: skip
        field = "symbols" if plan.V else "x"
        self.program = threads.Program(phases, [
            *_moving(there.jobs, field, self.x), *_moving(back.jobs, field, self.x),
            *_moving(judge.jobs, "targets", self.targets), *_moving(judge.jobs, "shown", read_out.shown),
            *_moving(update.table.jobs, "loss", read_out.shown),
            *(move for name in ("settings", "clip", "norm")
              for move in _moving(update.table.jobs, name, update.numbers)),
        ])  # fmt: skip
        self.kept = there, back, features, d_features

    @staticmethod
    def serves(cell: Cell, x: Tensor, p: Parameters) -> bool:
        """Whether there is a round for a cell and inputs like these."""
        inner = isinstance(cell, TimeGate) or call.own_shapes(cell)
        like = x.dtype == torch.float32 and x.shape[3:] == (cell.input_size,)
        symbols = not x.is_floating_point() and x.dim() == 3
        if inner or not x.numel() or not (like or symbols):
            return False
        return not call.plan_of(_operands(cell, x, p), call.variant_of(cell)).chunked

    def __call__(
        self, batches: Sequence[tuple[Tensor, Tensor]], settings: Sequence[Sequence[Sequence[float]]]
    ) -> list[tuple[list[float], list[float], list[float]]]:
        """Apply an update for each batch, x and targets.

        Args:
            settings: of the rule, for each update and replica; see ``rules.py``.

        Returns:
            For each update losses, shares of right answers and the gradients' norms before clipping.
        """
        for k, ((x, targets), numbers) in enumerate(zip(batches, settings, strict=True)):
            check_values(x, self.size, None)
            self.x[k], self.targets[k] = x, self.read_out.checked(targets)
            self.update.set(numbers, k)
        self.program(len(batches))
        return [(*self.read_out.told(k), self.update.norms(k)) for k in range(len(batches))]


def _operands(cell: Cell, x: Tensor, p: Parameters) -> list[Any]:
    """Return the tensors of a call with nothing but inputs and weights."""
    return [x, None, *call.operands(cell, p), None, None, None]


def _moving(jobs: np.ndarray, field: str, of: Tensor | np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield where a field of every job lies, and how far it moves from one turn's part to the next's."""
    fields = jobs.dtype.fields
    assert fields is not None
    first = jobs.ctypes.data + fields[field][1]
    step = of[0].nbytes
    return ((first + unit * jobs.itemsize, step) for unit in range(len(jobs)))
