"""A whole update of one layer and its read-out, from inputs to new weights, in one compiled call.

Between the walks of a small network Python costs as much as they do, and more once they have driven it out of
the caches. Here every buffer stays where it is, so that a round fills in inputs and targets and calls once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from memspan.cells.cell import Cell, Parameters
from memspan.cells.time_gate.equations import TimeGate
from memspan.kernels.cpu import engine, ops, threads
from memspan.kernels.cpu.learning import ReadOut, Update
from memspan.kernels.reference import check_values


class Round:
    """An update of R replicas: a walk forward from a zero state, read-out, walk backward, clipping and rule.

    A tile of rows goes all the way before the next one: so what the walk backward reads is still near, and a
    thread needs no more memory than one tile does. The kernels are those of ``unroll``, ``ReadOut`` and
    ``Update``, and so are the bits.

    Shapes:
        p and gradients: name → views (R, …) into flat rows, equally far apart in both. x (R, T, B, D) or
        (R, T, B), targets (R, 1, B, A), alike in every call.

    Args:
        read_out, update: of these rows; they serve this round alone.
    """

    def __init__(
        self, cell: Cell, p: Parameters, gradients: Parameters, read_out: ReadOut, update: Update,
        x: Tensor, targets: Tensor,
    ) -> None:  # fmt: skip
        self.read_out, self.update, self.size = read_out, update, cell.input_size
        self.x, self.targets = torch.empty_like(x), torch.empty_like(read_out.target_like(targets))
        operands = _operands(cell, self.x, p)
        plan = ops.plan_of(operands, ops.variant_of(cell))
        wanted = threads.wanted() if plan.operations(3) >= engine.SHARED_WORK else 1
        last = engine.buffer(1 + len(plan.spec.carried), plan.R, plan.B, plan.H)
        features, d_features = last[0].unsqueeze(1), engine.buffer(plan.R, 1, plan.B, plan.H)
        saved = engine.buffer(min(wanted, plan.R * plan.tiles), plan.saved_size)
        given = engine.Given(*operands).tensors()
        below = {f"d_{name}": gradients.get(name) for name in engine.WEIGHTS}
        row = p["weight_hh"].stride(0) * p["weight_hh"].element_size()
        there = engine.Bound(plan, {**given, "last": last}, saved, wanted, row)
        back = engine.Bound(plan, {**given, "d_last": d_features, **below}, saved, wanted, row)
        (judge, shares), gather = read_out.phases(features, self.targets, d_features, wanted)
        assert shares == list(there.recipe.shares)
        through = threads.Relay(
            (threads.Walk(plan.forward, there.jobs), judge, threads.Walk(plan.backward.backward, back.jobs))
        )
        self.program = threads.Program([
            (through, shares), (threads.Walk(plan.backward.gather, back.jobs), back.recipe.gathers), gather,
            update.phase(wanted),
        ])  # fmt: skip
        self.kept = there, back, features, d_features

    @staticmethod
    def serves(cell: Cell, x: Tensor, p: Parameters) -> bool:
        """Whether there is a round for a cell and inputs like these."""
        if isinstance(cell, TimeGate) or ops.own_shapes(cell) or not x.numel():
            return False
        return not ops.plan_of(_operands(cell, x, p), ops.variant_of(cell)).chunked

    def __call__(
        self, x: Tensor, targets: Tensor, settings: Sequence[Sequence[float]]
    ) -> tuple[list[float], list[float], list[float]]:
        """Apply an update; return losses, shares of right answers and the gradients' norms before clipping.

        Args:
            settings: of the rule, for each replica; see ``rules.py``.
        """
        check_values(x, self.size, None)
        self.x.copy_(x)
        self.targets.copy_(targets)
        self.update.set(settings)
        self.program()
        return *self.read_out.told(), self.update.norms()


def _operands(cell: Cell, x: Tensor, p: Parameters) -> list[Any]:
    """Return the tensors of a call with nothing but inputs and weights."""
    return [x, None, *ops.operands(cell, p), None, None, None]
