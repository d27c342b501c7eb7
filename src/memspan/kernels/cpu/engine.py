"""Runs a generated module on torch tensors: buffers, jobs, threads."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from memspan.kernels.cpu import cache, memory, threads
from memspan.kernels.cpu.jobs import make_jobs
from memspan.kernels.cpu.spec import Spec, round_up

TILE_ROWS = 64
RING_ROWS = 128
KEEP_BYTES = 512 * 2**20  # a replica whose states take more is run forward again, chunk by chunk
SHARED_WORK = 15e6  # operations below which a second thread costs more than it brings
LOG_HEAD = 16
INFERENCE_CHUNK = 8

poison = False  # tests set this: every buffer starts as NaN


def buffer(*shape: int) -> Tensor:
    """Return an uninitialised float32 tensor, NaN where tests ask for it."""
    made = memory.lease(shape)
    return made.fill_(math.nan) if poison else made


@functools.lru_cache(maxsize=256)
def tile_rows(B: int) -> int:
    """Return the batch rows of a work unit: a function of the batch alone, so bits know no threads."""
    tiles = 1 if B < 16 else max(2, -(-B // TILE_ROWS))
    return round_up(-(-B // tiles), 4) if tiles > 1 else max(1, B)


@dataclasses.dataclass(frozen=True)
class Plan:
    """Sizes of one call; everything derived is in floats unless said."""

    spec: Spec
    R: int
    T: int
    B: int
    D: int
    H: int
    V: int
    keep: bool
    chunked: int  # steps between kept borders, 0: every state is kept
    resets: bool
    ragged: bool

    @functools.cached_property
    def rows(self) -> int:
        """Batch rows of a work unit."""
        return tile_rows(self.B)

    @functools.cached_property
    def tiles(self) -> int:
        """Work units of a replica."""
        return -(-self.B // self.rows)

    @functools.cached_property
    def ring(self) -> int:
        """Steps of dz whose weight gradient is summed at once."""
        return 1 if self.resets else max(1, RING_ROWS // self.rows)

    @functools.cached_property
    def chunk(self) -> int:
        """Steps whose states are held at once."""
        if not self.keep:
            return min(max(1, self.T), INFERENCE_CHUNK)
        return self.chunked or max(1, self.T)

    @functools.cached_property
    def lh(self) -> int:
        """Floats of a row [h | 1 | x]."""
        return self.spec.input_row(self.H, self.D)

    @functools.cached_property
    def lr(self) -> int:
        """Floats of a row of the record."""
        return self.spec.saved * self.spec.units(self.H)

    @functools.cached_property
    def lw(self) -> int:
        """Columns of dz."""
        return self.spec.gradient_columns(self.H)

    @functools.cached_property
    def ld(self) -> int:
        """Floats of a row of dh."""
        return max(self.spec.units(self.H), self.spec.wide(self.H)) + 16

    @functools.cached_property
    def window(self) -> dict[str, int]:
        """Buffers that hold the steps of one chunk."""
        log = LOG_HEAD + self.chunk * self.rows * (self.lh + self.lr) if self.resets else 0
        steps = (self.chunk + 1) * self.rows
        return {"h": steps * self.lh, "record": steps * self.lr, "log": log}

    @functools.cached_property
    def saved_size(self) -> int:
        """Floats a unit keeps from forward for backward."""
        if not self.keep:
            return 0
        if self.chunked:
            return -(-self.T // self.chunked) * self.rows * (self.lh + self.lr)
        return sum(self.window.values())

    @functools.cached_property
    def forward_scratch(self) -> dict[str, int]:
        """Buffers a thread needs forward."""
        s, units = self.spec, self.spec.units(self.H)
        sizes = {
            "modes": 16,
            "panels": units * (self.H * s.from_h + self.D * s.from_x),
            "start": max(1, self.V) * s.slots * units,
            "starts": 2 * self.rows,
            "z": 8 * s.slots * s.blocks * s.lanes,
        }
        return sizes if self.keep and not self.chunked else sizes | self.window

    def backward_scratch(self, dx: bool) -> dict[str, int]:
        """Buffers a thread needs backward."""
        s, units, wide = self.spec, self.spec.units(self.H), self.spec.wide(self.H)
        columns = round_up(self.D, 2 * s.lanes)
        sizes = {
            "panels_h": wide * s.from_h * units,
            "dz": self.ring * self.rows * (self.lw + 16),
            "dh": self.rows * self.ld,
            "ds": self.rows * self.ld * len(s.carried),
            "counts": 2 * self.ring,
        }
        if dx:
            sizes |= {"panels_x": columns * s.from_x * units, "dx_row": self.rows * columns}
        base = self.forward_scratch if self.chunked else {"modes": 16, "starts": 2 * self.rows}
        return base | sizes

    @functools.cached_property
    def unit_gradients(self) -> dict[str, int]:
        """Sums of weight gradients of one unit."""
        units = self.spec.units(self.H)
        sizes = {"dw": self.spec.from_h * units * self.ld, "dw_x": (1 + self.D) * self.lw}
        return sizes | ({"d_table": self.V * self.lw} if self.V else {})

    def operations(self, passes: int) -> float:
        """Return the operations of so many passes of the recurrent product."""
        return 2.0 * passes * self.R * self.T * self.B * self.spec.from_h * self.H * (self.H + self.D)


@functools.lru_cache(maxsize=512)
def cached_plan(*facts: Any) -> Plan:
    """Return the plan of a shape seen before, its sizes with it."""
    return Plan(*facts)


def auto_chunk(plan: Plan) -> int:
    """Return 0 where every state can be kept, else the steps between borders, about √T."""
    size = 4 * plan.tiles * (plan.T + 1) * plan.rows * (plan.lh + plan.lr)
    return 0 if size <= KEEP_BYTES else round_up(math.isqrt(plan.T) + 1, plan.ring)


def _addresses(base: int, sizes: dict[str, int]) -> tuple[dict[str, int], int]:
    """Return the address of every part laid one after the other on cache lines, and the floats in all."""
    places, offset = {}, 0
    for name, size in sizes.items():
        places[name] = base + 4 * offset
        offset += round_up(size, 16) + 16
    return places, offset


def _part_total(sizes: dict[str, int]) -> int:
    return _addresses(0, sizes)[1]


def _order(plan: Plan, lengths: Tensor | None) -> tuple[list[list[int]], np.ndarray]:
    """Return the address offsets and an array (R, tiles, 2, rows) of original rows and lengths."""
    rows, tiles, B = plan.rows, plan.tiles, plan.B
    table = np.zeros((plan.R, tiles, 2, rows), np.int64)
    counts = []
    if lengths is None:
        flat = np.arange(B)
        for u in range(tiles):
            part = flat[u * rows : (u + 1) * rows]
            table[:, u, 0, : len(part)] = part
            table[:, u, 1, : len(part)] = plan.T
            counts.append(len(part))
        return [counts] * plan.R, table
    for r in range(plan.R):
        given = lengths[r].numpy()
        longest_first = np.argsort(-given, kind="stable")
        for u in range(tiles):
            part = longest_first[u::tiles]
            table[r, u, 0, : len(part)] = part
            table[r, u, 1, : len(part)] = given[part]
            if r == 0:
                counts.append(len(part))
    return [counts] * plan.R, table


def _at(tensor: Tensor | None, replica: int, inner: int | None = None) -> int:
    """Return the address of one replica's slice of a contiguous tensor; 0 for none."""
    if tensor is None or tensor.numel() == 0:
        return 0
    size = tensor[0].numel() if inner is None else inner
    return tensor.data_ptr() + replica * size * tensor.element_size()


@dataclasses.dataclass
class Given:
    """The tensors of one call: contiguous, float32 (symbols and lengths int64, resets bool)."""

    x: Tensor
    state: Tensor  # (parts, R, B, H)
    weight_ih: Tensor
    weight_hh: Tensor
    bias_ih: Tensor | None
    bias_hh: Tensor | None
    lengths: Tensor | None
    resets: Tensor | None


def _jobs(plan: Plan, given: Given, order: np.ndarray, counts: list[list[int]]) -> list[dict[str, int]]:
    """Return the part of every job that forward and backward share."""
    sizes = {
        "T": plan.T, "B": plan.B, "D": plan.D, "H": plan.H, "V": plan.V,
        "chunk": plan.chunk, "ring": plan.ring,
        "lh": 4 * plan.lh, "lr": 4 * plan.lr, "lz": 4 * (plan.lw + 16), "ld": 4 * plan.ld, "lw": 4 * plan.lw,
        "state_part": 4 * plan.R * plan.B * plan.H,
    }  # fmt: skip
    jobs = []
    for r in range(plan.R):
        replica = sizes | {
            "replica": r,
            "symbols" if plan.V else "x": _at(given.x, r),
            "resets": _at(given.resets, r),
            "weight_ih": _at(given.weight_ih, r),
            "weight_hh": _at(given.weight_hh, r),
            "bias_ih": _at(given.bias_ih, r),
            "bias_hh": _at(given.bias_hh, r),
            "state": _at(given.state, r, plan.B * plan.H),
        }
        for u in range(plan.tiles):
            place = order[r, u].ctypes.data
            jobs.append(replica | {"rows": counts[r][u], "order": place, "length": place + 8 * plan.rows})
    return jobs


def _place_saved(plan: Plan, jobs: list[dict[str, int]], saved: Tensor) -> None:
    """Give every job its share of what forward keeps."""
    for unit, job in enumerate(jobs):
        base = saved.data_ptr() + 4 * unit * plan.saved_size
        if plan.chunked:
            job["border"] = base
            continue
        for name, size in plan.window.items():
            job[name] = base if size else 0
            base += 4 * size


def _share(plan: Plan, passes: int) -> list[tuple[int, int]]:
    """Return the shares of the units; one share where the work is small."""
    wanted = torch.get_num_threads() if plan.operations(passes) >= SHARED_WORK else 1
    return threads.share(plan.R * plan.tiles, wanted)


def _with_scratch(jobs: list[dict[str, int]], shares: list[tuple[int, int]], sizes: dict[str, int]) -> Tensor:
    """Give every share its own scratch, reused by its units one after the other. Keep what is returned."""
    scratch = buffer(len(shares), _part_total(sizes))
    for number, (first, last) in enumerate(shares):
        places, _ = _addresses(scratch.data_ptr() + 4 * number * scratch.shape[1], sizes)
        for job in jobs[first:last]:
            job.update(places)
    return scratch


def _launch(entry: Callable[..., None], jobs: list[dict[str, int]], shares: list[tuple[int, int]]) -> None:
    table = make_jobs(jobs)
    threads.run(lambda first, last: entry(table, first, last), shares)


def run_forward(plan: Plan, given: Given, outputs: bool, states: bool) -> tuple[Tensor, ...]:
    """Return outputs (R, T, B, H) or empty, last (parts, R, B, H), carried states or empty, and saved."""
    R, T, B, H, s = plan.R, plan.T, plan.B, plan.H, plan.spec
    made = torch.zeros if given.lengths is not None else buffer
    out = made(R, T, B, H) if outputs else torch.empty(0)
    carried = made(R, len(s.carried), T, B, H) if states else torch.empty(0)
    last = buffer(1 + len(s.carried), R, B, H)
    saved = buffer(R, plan.tiles, plan.saved_size)
    if R * B:
        counts, order = _order(plan, given.lengths)
        jobs = _jobs(plan, given, order, counts)
        shares = _share(plan, 1)
        scratch = _with_scratch(jobs, shares, plan.forward_scratch)
        if plan.keep:
            _place_saved(plan, jobs, saved)
        for job in jobs:
            r = job["replica"]
            job["outputs"], job["states"] = _at(out, r), _at(carried, r)
            job["last"] = _at(last, r, B * H)
        _launch(cache.load(s).forward, jobs, shares)
        del scratch
    return out, last, carried, saved


def run_backward(
    plan: Plan, given: Given, saved: Tensor, from_above: list[Tensor | None], wants: dict[str, bool]
) -> dict[str, Tensor]:
    """Return the wanted gradients by name: x, state, weight_ih, weight_hh, bias_ih, bias_hh."""
    R, T, B, H = plan.R, plan.T, plan.B, plan.H
    d_outputs, d_last, d_states = from_above
    module = cache.load(plan.spec)
    made = torch.zeros if given.lengths is not None else buffer
    grads: dict[str, Tensor] = {}
    if wants["x"]:
        grads["x"] = made(R, T, B, plan.D)
    if wants["state"]:
        grads["state"] = buffer(*given.state.shape)
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    weights = any(wants[name] for name in names)
    if weights:
        for name in names:
            like = getattr(given, name)
            if like is not None:
                grads[name] = buffer(*like.shape)
    if not R * B:
        return {name: grad.zero_() for name, grad in grads.items()}
    counts, order = _order(plan, given.lengths)
    jobs = _jobs(plan, given, order, counts)
    shares = _share(plan, 2)
    scratch = _with_scratch(jobs, shares, plan.backward_scratch(wants["x"]))
    _place_saved(plan, jobs, saved)
    sums = buffer(len(jobs) if weights else 0, _part_total(plan.unit_gradients))
    for unit, job in enumerate(jobs):
        r = job["replica"]
        job["d_outputs"], job["d_last"] = _at(d_outputs, r), _at(d_last, r, B * H)
        job["d_states"] = _at(d_states, r)
        job["dx"], job["d_state"] = _at(grads.get("x"), r), _at(grads.get("state"), r, B * H)
        if weights:
            job.update(_addresses(sums.data_ptr() + 4 * unit * sums.shape[1], plan.unit_gradients)[0])
            job.update({"d_" + name: _at(grads.get(name), r) for name in names})
    _launch(module.backward, jobs, shares)
    if weights:
        whole = [(f * plan.tiles, e * plan.tiles) for f, e in threads.share(R, len(shares))]
        _launch(module.gather, jobs, whole)
    del scratch
    return grads
