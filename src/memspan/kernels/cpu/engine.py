"""Runs a generated module on torch tensors: buffers, jobs, threads."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from memspan.kernels.cpu import memory, threads
from memspan.kernels.cpu.layout import TENSORS, WEIGHTS, Above, Given, Layout, layout_of, order_of
from memspan.kernels.cpu.plan import Kernel, Plan
from memspan.kernels.cpu.pointers import kept, pointer, pointer_of_views, pointers

PLACES = {name: place for place, name in enumerate(TENSORS)}
SHARED_WORK = 5e6  # operations below which a second thread costs more than it brings
poison = False  # tests set this: every buffer starts as NaN


def buffer(*shape: int) -> Tensor:
    """Return an uninitialised float32 tensor, NaN where tests ask for it."""
    made = memory.lease(shape)
    return made.fill_(math.nan) if poison else made


def buffer_like(tensor: Tensor) -> Tensor:
    """Return such a tensor of the shape of a contiguous float32 one."""
    made = memory.lease_like(tensor)
    return made.fill_(math.nan) if poison else made


def zeros(*shape: int) -> Tensor:
    """Return a float32 tensor of zeros, whatever torch's defaults are."""
    return torch.zeros(shape, dtype=torch.float32, device="cpu")


def _run(plan: Plan, tensors: dict[str, Tensor | None], lengths: Tensor | None, saved: Tensor | None) -> None:
    """Run a pass: forward, or backward where the gradient of a weight or an input is among the tensors."""
    backward = "d_last" in tensors
    expected = plan.expected
    addresses = pointers(tensors, expected, PLACES)
    wanted = threads.wanted() if plan.operations(1 + backward) >= SHARED_WORK else 1
    layout = layout_of(plan, backward, tuple(map(bool, addresses)), wanted)
    order, at = plan.order, plan.order_address
    if lengths is not None:
        order = order_of(plan, lengths)
        at = order.ctypes.data
    with (
        memory.Borrowed(layout.scratch, poison) as scratch,
        layout.jobs([0, *addresses, at, pointer("saved", saved, expected["saved"]), scratch]) as jobs,
    ):
        for phase in _phases(plan, layout, jobs, backward, order):
            threads.run(*phase)


def _phases(
    plan: Plan, layout: Layout, jobs: np.ndarray, backward: bool, order: np.ndarray
) -> Iterator[tuple[threads.Work, threads.Shares]]:
    """Return what a pass does: a walk, and after one that goes back to weights the sums over the tiles."""
    if not backward:
        yield threads.Walk(plan.forward, jobs), layout.shares
        return
    walk: threads.Work = threads.Walk(plan.backward.backward, jobs)
    if plan.chunked:
        walk = functools.partial(_chunk_by_chunk(plan, order), jobs)
    yield walk, layout.shares
    if jobs[0]["d_weight_hh"]:
        yield threads.Walk(plan.backward.gather, jobs), layout.gathers


class Bound:
    """A pass over tensors that stay where they are, for as many calls as wanted.

    Every unit goes forward and back before the next one of its thread, which reuses what it kept.

    Args:
        tensors: as in ``_run``; the weights of the replicas, and their gradients, lie ``row`` bytes apart.
        saved: (threads, floats).
        wanted: threads.
    """

    def __init__(
        self, plan: Plan, tensors: dict[str, Tensor | None], saved: Tensor, wanted: int, row: int
    ) -> None:
        expected, weights = plan.expected, {f"{prefix}{name}" for prefix in ("", "d_") for name in WEIGHTS}
        addresses = [
            pointer_of_views(name, tensors.get(name), expected[name], row)
            if name in weights
            else pointer(name, tensors.get(name), expected[name])
            for name in TENSORS
        ]
        record = pointer("saved", saved, (torch.float32, min(wanted, plan.R * plan.tiles) * plan.saved_size))
        self.layout = layout_of(plan, "d_last" in tensors, tuple(map(bool, addresses)), wanted, row, True)
        self.scratch, self.kept = memory.Block(self.layout.scratch), (tensors, saved)
        if poison:
            self.scratch.floats.fill(math.nan)
        owners = [0, *addresses, plan.order_address, record, self.scratch.address]
        with self.layout.jobs(owners) as jobs:
            self.jobs = jobs.copy()


def _chunk_by_chunk(plan: Plan, order: np.ndarray) -> Kernel:
    """Return a walk backward that runs every chunk forward again, from the border before it, first."""
    forward, backward = plan.forward, plan.backward.backward
    longest = order.reshape(-1, 2, plan.rows)[:, 1, 0]

    def walk(jobs: np.ndarray, first: int, last: int) -> None:
        for u in range(first, last):
            for t0 in reversed(range(0, max(1, longest[u]), plan.chunk)):
                jobs[u]["t0"], jobs[u]["t1"] = t0, t0 + plan.chunk
                if t0 < longest[u]:
                    forward(jobs, u, u + 1)
                backward(jobs, u, u + 1)
                jobs[u]["fresh"] = 0

    return walk


def padded(plan: Plan, given: Given) -> Given:
    """Return a call's tensors with vectors of units padded to whole panels, so that none is read past."""
    own, clocks = given.own, given.clocks
    R, more = plan.R, plan.spec.units(plan.H) - plan.H
    if not more or (own is None and clocks is None):
        return given
    if own is not None:
        own = functional.pad(own.view(R, plan.spec.own, plan.H), (0, more)).contiguous()
    if clocks is not None:
        clocks = functional.pad(clocks, (0, more), value=1.0).contiguous()
    return dataclasses.replace(given, own=own, clocks=clocks)


Forward = tuple[Tensor | None, Tensor, Tensor | None, Tensor | None]


def run_forward(plan: Plan, given: Given, outputs: bool, states: bool) -> Forward:
    """Return outputs (R, T, B, H), last (parts, R, B, H), carried states and saved; what is not wanted: None.

    Shapes:
        carried states (R, carried, T, B, H); saved (R, tiles, floats).
    """
    R, T, B, H, s = plan.R, plan.T, plan.B, plan.H, plan.spec
    made = zeros if plan.ragged else buffer
    out = made(R, T, B, H) if outputs else None
    carried = made(R, len(s.carried), T, B, H) if states else None
    last = buffer(1 + len(s.carried), R, B, H)
    saved = buffer(R, plan.tiles, plan.saved_size) if plan.keep else None
    if R * B:
        tensors = {**padded(plan, given).tensors(), "outputs": out, "last": last, "states": carried}
        _run(plan, tensors, given.lengths, saved)
    return out, last, carried, saved


def made_gradients(plan: Plan, given: Given, wants: dict[str, bool]) -> dict[str, Tensor]:
    """Return a tensor for every gradient; those of weights, a cell's own and clocks come together."""
    R, T, B = plan.R, plan.T, plan.B
    grads: dict[str, Tensor] = {}
    if wants["x"]:
        grads["x"] = (zeros if plan.ragged else buffer)(R, T, B, plan.D)
    if wants["state"] and given.state is not None:
        grads["state"] = buffer_like(given.state)
    if any(wants[name] for name in WEIGHTS):
        for name in WEIGHTS:
            like = getattr(given, name)
            if like is not None and name != "clocks":
                grads[name] = buffer_like(like)
        if given.clocks is not None:
            grads["clocks"] = torch.full((R, 3, plan.H), math.nan, dtype=torch.float64, device="cpu")
    return grads


def run_backward(
    plan: Plan, given: Given, saved: Tensor, above: Above, wants: dict[str, bool]
) -> dict[str, Tensor]:
    """Return the wanted gradients by name: x, state, weight_ih, weight_hh, bias_ih, bias_hh."""
    grads = made_gradients(plan, given, wants)
    if not plan.R * plan.B:
        return {name: grad.zero_() for name, grad in grads.items()}
    saved = kept(saved, (plan.R, plan.tiles, plan.saved_size))
    below = {"dx" if name == "x" else f"d_{name}": grad for name, grad in grads.items()}
    _run(plan, {**padded(plan, given).tensors(), **above._asdict(), **below}, given.lengths, saved)
    return grads
