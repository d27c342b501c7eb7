"""What training does beside its walks through time: read-out and loss, and the update of the weights.

Both are small, and made of many small steps; after a walk the caches are cold, and a step through Python and
torch costs several times what it costs in a loop. Compiled, each is one call for all replicas.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from memspan import simd
from memspan.errors import ShapeError
from memspan.kernels.cpu import cache, engine, jobs, memory, threads
from memspan.kernels.cpu.generate import dispatch, gradient_rows, gradient_vectors, instances, template
from memspan.kernels.cpu.learning_jobs import CALLED, READ_OUT, UPDATE
from memspan.kernels.cpu.plan import LEAST_ROWS, tile_rows
from memspan.kernels.cpu.pointers import pointer
from memspan.kernels.cpu.spec import LAYOUT, round_up

RULES = ("rmsprop", "adam", "sgd")
NAME = "memspan_read_out"
BLOCK = 64  # rows of features at once
_READ_OUT = '''"""Read-out and loss, generated; do not edit."""

import math

import numba as nb

from memspan.kernels.cpu.floats import add_floats, copy_floats, pack_block, sum_floats, zero_floats
from memspan.kernels.cpu.jobs import jobs_type
from memspan.kernels.cpu.learning_jobs import READ_OUT
from memspan.kernels.cpu.sampling import largest, weigh
from memspan.kernels.cpu.tiles import gate_tile, gradient_tile, product_tile
from memspan.linked import entry, linked
from memspan.simd import *

ENTRY = nb.void(jobs_type(READ_OUT), nb.intp, nb.intp)'''
_UPDATE = '''"""Clipping and update, generated; do not edit."""

import math

import numba as nb

from memspan.kernels.cpu.jobs import jobs_type
from memspan.kernels.cpu.learning_jobs import UPDATE
from memspan.linked import entry, linked
from memspan.simd import *

ENTRY = nb.void(jobs_type(UPDATE), nb.intp, nb.intp)'''


def read_out_text() -> str:
    """Return the source of the module that reads out."""
    most: int = LAYOUT[simd.LANES]["rows"][0]  # type: ignore[index]
    energy, back = "a, la, start, shift, w, H, D, z", "a, la, w, K, c, lc"
    return "\n\n\n".join([
        f"{_READ_OUT}\nBLOCK, VB = {BLOCK}, VECTOR_BYTES",
        dispatch("energy_rows", energy, {n: f"gate_tile({n}, 2, 2, 2)" for n in (most, 1)}),
        dispatch("product_set_rows", back, {n: f"product_tile({n}, 2, False)" for n in (most, 1)}),
        instances("gradient_tile", {most: f"gradient_tile({most}, {gradient_vectors(most)})"}),
        gradient_rows((most,)),
        template("read_out"),
    ])  # fmt: skip


def update_text() -> str:
    """Return the source of the module that updates."""
    return f"{_UPDATE}\nRMSPROP, ADAM = {RULES.index('rmsprop')}, {RULES.index('adam')}" + template("rules")


def read_out_module() -> ModuleType:
    """Return the module that reads out."""
    return cache.module(NAME, read_out_text)


def update_module() -> ModuleType:
    """Return the module that updates."""
    return cache.module("memspan_update", update_text)


class Table:
    """A job for each unit of work: a row of addresses and sizes, of which few change from call to call.

    Args:
        facts: field → a number for every job, or one for each.
    """

    def __init__(self, fields: tuple[str, ...], count: int, facts: Mapping[str, Any]) -> None:
        self.numbers = np.zeros((count, len(fields)), np.int64)
        for name, value in facts.items():
            self.numbers[:, fields.index(name)] = value
        self.jobs = jobs.records(self.numbers, fields)


def rows_at(tensor: Tensor) -> np.ndarray:
    """Return where every replica's part of a tensor (R, …) begins; the part itself must be contiguous."""
    assert tensor[0].is_contiguous()
    return tensor.data_ptr() + tensor.stride(0) * tensor.element_size() * np.arange(len(tensor))


class ReadOut:
    """A linear read-out and its loss: cross-entropy, or the squared error of real answers.

    Shapes:
        weight (R, A·K, H) and bias (R, A·K), gradients alike: views, read and written at every call; K is 1
        for real answers.

    Args:
        classes: K, or 0 for real answers.
        temperatures: what each replica's energies are divided by.
        turns: calls whose results are kept at most.
    """

    def __init__(
        self, weight: Tensor, bias: Tensor, d_weight: Tensor, d_bias: Tensor,
        answers: int, classes: int, temperatures: Sequence[float], turns: int = 1,
    ) -> None:  # fmt: skip
        self.module, self.classes, self.answers = read_out_module(), classes, answers
        self.views = {"weight": weight, "bias": bias, "d_weight": d_weight, "d_bias": d_bias}
        self.R, self.C, self.H = weight.shape
        self.shown, self.scales = np.empty((turns, self.R, 2)), 1 / np.array(temperatures, np.float64)
        self.shape: tuple[int, ...] = ()

    def __call__(self, features: Tensor, targets: Tensor, wanted: int = 1) -> Tensor:
        """Return dh (R, S, B, H), write the read-out's gradients, and keep what is ``told``.

        Shapes:
            features (R, S, B, H); targets (R, S, B, A).

        Args:
            wanted: threads.
        """
        features, targets = features.contiguous(), self.checked(targets)
        made = engine.buffer(*features.shape)
        _, S, B, _ = features.shape
        if 6.0 * self.R * S * B * self.C * self.H < engine.SHARED_WORK:
            wanted = 1
        for phase in self.phases(features, targets, made, wanted):
            threads.run(*phase)
        return made

    def checked(self, targets: Tensor) -> Tensor:
        """Return targets as the kernel reads them.

        Raises:
            ShapeError: a class outside 0 … K − 1.
        """
        if not self.classes:
            return targets.to(torch.float64).contiguous()
        low, high = targets.aminmax()
        if low < 0 or high >= self.classes:
            raise ShapeError(f"targets run from {int(low)} to {int(high)}; expected 0 to {self.classes - 1}")
        return targets.to(torch.int64).contiguous()

    def phases(
        self, features: Tensor, targets: Tensor, d_features: Tensor, wanted: int
    ) -> tuple[tuple[threads.Walk, threads.Shares], tuple[threads.Walk, threads.Shares]]:
        """Return the walk over tiles and the sums over them, each with its shares; all is contiguous.

        The tiles are those of a walk through time over the same batch.
        """
        R, S, B, H = features.shape
        if self.shape != (S, B, wanted):
            self._lay_out(S, B, wanted)
        sizes = 4 * H, 4 * H, 8 * self.answers
        floats = torch.float32, R * S * B * H
        kind = torch.int64 if self.classes else torch.float64
        at = (
            pointer("features", features, floats),
            pointer("d_features", d_features, floats),
            pointer("targets", targets, (kind, R * S * B * self.answers)),
        )
        self.table.numbers[:, : len(CALLED)] = np.multiply.outer(self.first_rows, sizes) + at
        jobs = self.table.jobs
        return (
            (threads.Walk(self.module.read_out, jobs), self.shares),
            (threads.Walk(self.module.gather_read_out, jobs), self.gathers),
        )

    def _lay_out(self, S: int, B: int, wanted: int) -> None:
        """Make the jobs for batches of a shape, and what they write into."""
        R, C, H = self.R, self.C, self.H
        rows = S * tile_rows(B, LEAST_ROWS)
        tiles = -(-S * B // rows)
        unit = np.arange(R * tiles)
        replica, tile = np.divmod(unit, tiles)
        self.shape, self.first_rows = (S, B, wanted), replica * S * B + tile * rows
        self.shares = threads.share(R * tiles, wanted)
        self.gathers = threads.share_whole(R, tiles, wanted)
        width = 2 * simd.LANES
        wide, K8, units = round_up(C, width), round_up(C, 8), round_up(H, width)
        of_thread, each_thread = memory.offsets({
            "modes": 16, "panels": wide * H, "panels_back": K8 * units, "start": wide, "starts": 2 * BLOCK,
            "z": 8 * width, "h": BLOCK * (units + 16), "dz": BLOCK * (wide + 16), "dh": BLOCK * (units + 16),
            "chances": round_up(max(1, self.classes), simd.LANES), "count": 2,
        })  # fmt: skip
        of_unit, each_unit = memory.offsets({"dw": K8 * (units + 16), "db": C, "sums": 4})
        self.scratch = memory.Block(len(self.shares) * each_thread + len(unit) * each_unit)
        if engine.poison:
            self.scratch.floats.fill(np.nan)
        of_share = threads.share_of_units(self.shares)
        end = self.scratch.address + len(self.shares) * each_thread
        self.table = Table(READ_OUT, len(unit), {
            "replica": replica, "fresh": threads.first_of_replica(tiles, self.shares),
            "rows": np.minimum(rows, S * B - tile * rows), "N": S * B, "H": H, "A": self.answers,
            "K": self.classes, "C": C, "wide": wide, "K8": K8, "lh": 4 * (units + 16), "lz": 4 * (wide + 16),
            **{name: rows_at(view)[replica] for name, view in self.views.items()},
            "scale": self.scales.ctypes.data + 8 * replica, "shown": self.shown.ctypes.data + 16 * replica,
            **{name: self.scratch.address + of_share * each_thread + at for name, at in of_thread.items()},
            **{name: end + unit * each_unit + at for name, at in of_unit.items()},
        })  # fmt: skip

    @property
    def losses(self) -> np.ndarray:
        """The losses of the first turn, (R,)."""
        return self.shown[0, :, 0]

    def told(self, turn: int = 0) -> tuple[list[float], list[float]]:
        """Return the losses and the shares of right answers, 0 for real ones."""
        losses, right = self.shown[turn].T.tolist()
        return losses, right


class Update:
    """Clipping and an update rule over flat rows of parameters.

    Shapes:
        weights, gradients and every slot (R, P), each row on cache lines of its own.

    Args:
        rule: one of ``RULES``.
        clips: largest norm of each replica's gradient, 0 for any.
        losses: (R,) in float64, read at every call: a replica whose loss is not finite stays as it is.
        turns: calls whose settings and results are kept at most.
    """

    def __init__(
        self, rule: str, weights: Tensor, gradients: Tensor, slots: Sequence[Tensor],
        clips: Sequence[float], losses: np.ndarray, turns: int = 1,
    ) -> None:  # fmt: skip
        self.module, self.kept = update_module(), (weights, gradients, losses, *slots)
        R, P = weights.shape
        self.operations = 20.0 * R * P
        self.numbers = np.zeros((turns, R, 8))  # settings, then clip and norm
        self.numbers[:, :, 6] = clips
        self.modes = np.zeros((R, 2), np.int64)
        at = self.numbers.ctypes.data + 64 * np.arange(R)
        self.table = Table(UPDATE, R, {
            "P": P, "rule": RULES.index(rule), "weights": rows_at(weights), "gradients": rows_at(gradients),
            **{f"slot_{k}": rows_at(slot) for k, slot in enumerate(slots)},
            "settings": at, "clip": at + 48, "norm": at + 56,
            "loss": losses.ctypes.data + losses.strides[0] * np.arange(R),
            "modes": self.modes.ctypes.data + 16 * np.arange(R),
        })  # fmt: skip

    def __call__(self, settings: Sequence[Sequence[float]], wanted: int = 1) -> list[float]:
        """Update every replica whose loss and gradient are finite; return the norms before clipping.

        Args:
            settings: of the rule, for each replica; see ``rules.py``.
            wanted: threads.
        """
        self.set(settings)
        threads.run(*self.phase(wanted))
        return self.norms()

    def set(self, settings: Sequence[Sequence[float]], turn: int = 0) -> None:
        """Set the rule's numbers for each replica."""
        self.numbers[turn, :, : len(settings[0])] = settings

    def phase(self, wanted: int) -> tuple[threads.Walk, threads.Shares]:
        """Return the walk over the replicas and its shares."""
        shares = threads.share(len(self.table.jobs), wanted if self.operations >= engine.SHARED_WORK else 1)
        return threads.Walk(self.module.update, self.table.jobs), shares

    def norms(self, turn: int = 0) -> list[float]:
        """Return the norms before clipping."""
        norms: list[float] = self.numbers[turn, :, 7].tolist()
        return norms
