"""What training does beside its walks through time: read-out and loss, and the update of the weights.

Both are small, and made of many small steps; after a walk the caches are cold, and a step through Python and
torch costs several times what it costs in a loop. Compiled, each is one call for all replicas.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import ModuleType

import numpy as np
import torch
from torch import Tensor

from memspan import simd
from memspan.kernels.cpu import cache, engine, jobs, memory, threads
from memspan.kernels.cpu.generate import dispatch, gradient_rows, gradient_vectors, instances, template
from memspan.kernels.cpu.learning_jobs import CALLED, READ_OUT, UPDATE
from memspan.kernels.cpu.spec import LAYOUT, round_up

RULES = ("rmsprop", "adam", "sgd")
NAME = "memspan_read_out"
ROWS = 64  # rows of features at once
_READ_OUT = '''"""Read-out and loss, generated; do not edit."""

import math

import numba as nb

from memspan.kernels.cpu.floats import add_floats, copy_floats, pack_block, zero_floats
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
        f"{_READ_OUT}\nROWS, VB = {ROWS}, VECTOR_BYTES",
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
    """The jobs of R replicas: a row of addresses and sizes each, of which few change from call to call.

    Args:
        fields: names, in the order of the compiled record.
        facts: name → the number of every replica, or one for each.
    """

    def __init__(self, fields: Sequence[str], R: int, facts: Mapping[str, int | np.ndarray]) -> None:
        self.place = {name: k for k, name in enumerate(fields)}
        self.numbers = np.zeros((R, len(fields)), np.int64)
        for name, value in facts.items():
            self.put(name, value)
        self.jobs = jobs.records(self.numbers, tuple(fields))

    def put(self, name: str, value: int | np.ndarray) -> None:
        """Set one field."""
        self.numbers[:, self.place[name]] = value


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
    """

    def __init__(
        self, weight: Tensor, bias: Tensor, d_weight: Tensor, d_bias: Tensor,
        answers: int, classes: int, temperatures: Sequence[float],
    ) -> None:  # fmt: skip
        self.module, self.kept = read_out_module(), (weight, bias, d_weight, d_bias)
        R, C, H = weight.shape
        self.classes, self.operations = classes, 6.0 * R * C * H
        width = 2 * simd.LANES
        wide, K8, units = round_up(C, width), round_up(C, 8), round_up(H, width)
        sizes = {
            "modes": 16, "panels": wide * H, "panels_back": K8 * units, "start": wide, "starts": 2 * ROWS,
            "z": 8 * width, "h": ROWS * (units + 16), "dz": ROWS * (wide + 16), "dh": ROWS * (units + 16),
            "dw": K8 * (units + 16), "db": C, "chances": round_up(max(1, classes), simd.LANES), "count": 2,
        }  # fmt: skip
        self.places, self.size = engine.offsets(sizes)
        self.shares: list[tuple[int, int]] = []
        self.shown, self.scales = np.empty((R, 2)), 1 / np.array(temperatures, np.float64)
        each = 8 * np.arange(R)
        self.table = Table(READ_OUT, R, {
            "H": H, "A": answers, "K": classes, "C": C, "wide": wide, "K8": K8,
            "lh": 4 * (units + 16), "lz": 4 * (wide + 16), "weight": rows_at(weight), "bias": rows_at(bias),
            "d_weight": rows_at(d_weight), "d_bias": rows_at(d_bias),
            "scale": self.scales.ctypes.data + each, "shown": self.shown.ctypes.data + 2 * each,
        })  # fmt: skip

    def __call__(self, features: Tensor, targets: Tensor, wanted: int = 1) -> Tensor:
        """Return dh (R, S, B, H), write the read-out's gradients, and keep what is ``told``.

        Shapes:
            features (R, S, B, H); targets (R, S, B, A).

        Args:
            wanted: threads.
        """
        features, targets = features.contiguous(), self.target_like(targets)
        made = engine.buffer(*features.shape)
        threads.run(*self.phase(features, targets, made, wanted))
        return made

    def target_like(self, targets: Tensor) -> Tensor:
        """Return targets as the kernel reads them."""
        return targets.to(torch.int64 if self.classes else torch.float64).contiguous()

    def phase(
        self, features: Tensor, targets: Tensor, d_features: Tensor, wanted: int
    ) -> tuple[threads.Walk, threads.Shares]:
        """Return the walk over these tensors, which must be contiguous, and its shares."""
        R, S, B, _ = features.shape
        sizes = 0, 4 * features[0].numel(), 4 * features[0].numel(), 8 * targets[0].numel()
        first = S * B, features.data_ptr(), d_features.data_ptr(), targets.data_ptr()
        self.table.numbers[:, : len(CALLED)] = np.multiply.outer(np.arange(R), sizes) + first
        self._share(threads.share(R, wanted if self.operations * S * B >= engine.SHARED_WORK else 1))
        return threads.Walk(self.module.read_out, self.table.jobs), self.shares

    @property
    def losses(self) -> np.ndarray:
        """The losses of the last call, (R,)."""
        return self.shown[:, 0]

    def told(self) -> tuple[list[float], list[float]]:
        """Return the losses and the shares of right answers, 0 for real ones, of the last call."""
        losses, right = self.shown.T.tolist()
        return losses, right

    def _share(self, shares: list[tuple[int, int]]) -> None:
        """Give every share of the replicas its scratch, which is kept from call to call."""
        if shares == self.shares:
            return
        self.shares, self.scratch = shares, memory.Block(len(shares) * self.size)
        if engine.poison:
            self.scratch.floats.fill(np.nan)
        of_share = np.repeat(np.arange(len(shares)), [last - first for first, last in shares])
        for name, place in self.places.items():
            self.table.put(name, self.scratch.address + of_share * self.size + place)


class Update:
    """Clipping and an update rule over flat rows of parameters.

    Shapes:
        weights, gradients and every slot (R, P), each row on cache lines of its own.

    Args:
        rule: one of ``RULES``.
        clips: largest norm of each replica's gradient, 0 for any.
        losses: (R,) in float64, read at every call: a replica whose loss is not finite stays as it is.
    """

    def __init__(
        self, rule: str, weights: Tensor, gradients: Tensor, slots: Sequence[Tensor],
        clips: Sequence[float], losses: np.ndarray,
    ) -> None:  # fmt: skip
        self.module, self.kept = update_module(), (weights, gradients, losses, *slots)
        R, P = weights.shape
        self.operations = 20.0 * R * P
        self.numbers = np.zeros((R, 8))  # settings, then clip and norm
        self.numbers[:, 6] = clips
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

    def set(self, settings: Sequence[Sequence[float]]) -> None:
        """Set the rule's numbers for each replica."""
        self.numbers[:, : len(settings[0])] = settings

    def phase(self, wanted: int) -> tuple[threads.Walk, threads.Shares]:
        """Return the walk over the replicas and its shares."""
        shares = threads.share(len(self.numbers), wanted if self.operations >= engine.SHARED_WORK else 1)
        return threads.Walk(self.module.update, self.table.jobs), shares

    def norms(self) -> list[float]:
        """Return the norms of the last call."""
        norms: list[float] = self.numbers[:, 7].tolist()
        return norms
