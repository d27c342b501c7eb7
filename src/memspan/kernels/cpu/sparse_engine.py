"""Runs the sparse time gate on torch tensors: schedule, buffers, jobs.

How much there is to do is known only once the clocks were asked, so a call has two passes: the schedule of
every replica, then its units of work with buffers of the size that follows.
"""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Any

import numpy as np
from torch import Tensor

from memspan.kernels.cpu import cache, engine, memory, threads
from memspan.kernels.cpu.engine import Given, Plan
from memspan.kernels.cpu.generate_sparse import kept, sparse_text
from memspan.kernels.cpu.jobs import records
from memspan.kernels.cpu.sparse_jobs import FIELDS, PLACE
from memspan.kernels.cpu.spec import Spec, round_up

FLOATS = 4
STREAM_PART = 4  # rows fill so small a part of the lanes at most where they run one by one


def module(spec: Spec) -> ModuleType:
    """Return the module of one cell's sparse kernel."""
    return cache.module(f"{cache.name_of(spec)}_sparse", lambda: sparse_text(spec))


class Schedule:
    """The openings of every replica of a call, in the order of time."""

    def __init__(self, plan: Plan, given: Given, slopes: bool) -> None:
        R, most = plan.R, max(1, plan.T * plan.H)
        self.ends = np.zeros((R, plan.T + 1), np.int64)
        self.who = np.empty((R, most), np.int64)  # as much as could open; only what does is ever touched
        self.opening = np.empty((R, most), np.float32)
        self.slope = np.empty((R, 3 * most), np.float64) if slopes else None
        self.lane = np.empty((R, 4 * plan.spec.lanes), np.float64)
        table = _Table(plan, R)
        table.facts(plan)
        table.put_all(_given(plan, given), np.arange(R))
        table.put_all(self.places(), np.arange(R))
        table.put("lane", self.lane.ctypes.data + np.arange(R) * self.lane.strides[0])
        shares = threads.share(R, threads.wanted() if plan.T * plan.H * R > 2e6 else 1)
        entry = module(plan.spec).schedule
        threads.run(functools.partial(entry, table.jobs()), shares)
        self.count = int(self.ends[:, -1].max()) if R else 0

    def places(self) -> dict[str, tuple[int, int]]:
        """Return field → (address, bytes from one replica to the next)."""
        arrays: dict[str, np.ndarray | None] = {
            "ends": self.ends,
            "who": self.who,
            "opening": self.opening,
            "slope": self.slope,
        }
        return {name: (a.ctypes.data, a.strides[0]) for name, a in arrays.items() if a is not None}


class _Table:
    """A job table that is being filled."""

    order: np.ndarray

    def __init__(self, plan: Plan, units: int) -> None:
        self.rows = np.zeros((units, len(FIELDS)), np.int64)

    def put(self, field: str, values: Any) -> None:
        """Write a field of every unit."""
        self.rows[:, PLACE[field]] = values

    def put_all(self, places: dict[str, tuple[int, int]], replica: np.ndarray) -> None:
        """Write addresses that differ by replica."""
        for name, (address, stride) in places.items():
            self.put(name, address + replica * stride)

    def facts(self, plan: Plan) -> None:
        """Write the sizes."""
        sizes = _sizes(plan)
        facts = {
            "T": plan.T, "B": plan.B, "D": plan.V or plan.D, "H": plan.H, "units": plan.spec.units(plan.H),
            "ls": FLOATS * sizes.lanes, "lf": FLOATS * sizes.flat, "lw": FLOATS * sizes.columns,
            "lp": FLOATS * sizes.panel, "le": FLOATS * sizes.record,
            "state_part": FLOATS * plan.R * plan.B * plan.H,
        }  # fmt: skip
        for name, value in facts.items():
            self.put(name, value)

    def jobs(self) -> np.ndarray:
        """Return the records."""
        return records(self.rows, FIELDS)


class _Sizes:
    """Buffer sizes of a plan, in floats."""

    def __init__(self, plan: Plan) -> None:
        s, H, D = plan.spec, plan.H, plan.V or plan.D
        self.lanes = round_up(plan.rows, s.lanes)
        self.columns = round_up(H + 1 + D, s.lanes)
        self.flat = self.columns + 16  # rows a power of two apart would share cache sets
        self.panel = round_up(s.from_h * H + (1 + D) * s.slots, 16)
        self.record = (kept(s) + 1 + len(s.carried)) * self.lanes
        self.states = len(s.carried)
        self.border = (1 + self.states) * H * self.lanes

    def saved(self, plan: Plan, count: int) -> int:
        """Floats a unit of work keeps for backward: every opening, or the states at the borders of chunks."""
        if not plan.keep:
            return 0
        steps = self.chunk(plan, count)
        return -(-plan.T // steps) * self.border if steps else count * self.record + plan.H * self.lanes

    def chunk(self, plan: Plan, count: int) -> int:
        """Steps between borders, 0 where every opening can be kept; the numbers are the same either way."""
        if not plan.keep or plan.chunked >= 0:
            return plan.chunked
        if 4 * plan.tiles * count * self.record <= engine.KEEP_BYTES:
            return 0
        return max(1, round(plan.T * (self.border / (count * self.record)) ** 0.5))


@functools.lru_cache(maxsize=512)
def _sizes(plan: Plan) -> _Sizes:
    return _Sizes(plan)


def _scratch(plan: Plan, most: int, backward: bool, above: bool, flat: bool) -> dict[str, int]:
    """Return the buffers of a thread; most: openings of the busiest step."""
    z, H = _sizes(plan), plan.H
    rows = H + 1 + (plan.V or plan.D)
    sizes = {"modes": 16, "panel": H * z.panel, "live": z.lanes, "z": most * plan.spec.slots * z.lanes}
    if not backward:
        kinds = 1 + z.states
        return sizes | {
            "s": rows * z.lanes, "c": z.states * H * z.lanes,
            "flat": kinds * plan.rows * z.flat if flat else 0,
        }  # fmt: skip
    return sizes | {
        "dh": rows * z.lanes, "dc": z.states * H * z.lanes, "flat": plan.rows * z.flat,
        "above": (1 + z.states) * plan.rows * H if above else 0,
        "own_sum": plan.spec.own * plan.spec.units(H), "d_opening": 0,
    }  # fmt: skip


def _again(plan: Plan, found: Schedule, steps: int) -> dict[str, int]:
    """Return the buffers of a thread that runs a chunk forward again."""
    z = _sizes(plan)
    edges = np.append(np.arange(0, plan.T, steps), plan.T)
    openings = int(np.diff(found.ends[:, edges], axis=1).max(initial=0))
    rows = plan.H + 1 + (plan.V or plan.D)
    return {"s": rows * z.lanes, "c": z.states * plan.H * z.lanes, "saved": openings * z.record}


def streams(plan: Plan) -> bool:
    """Whether a call goes row by row: nothing is kept, and rows are too few to fill the lanes."""
    return not plan.keep and plan.spec.lanes // STREAM_PART >= plan.B


def _stream(plan: Plan, given: Given, tensors: dict[str, Tensor | None]) -> None:
    """Run forward row by row; every row finds its openings as it goes."""
    units, table = plan.R * plan.tiles, _unit_table(plan, given, tensors)
    H, s = plan.spec.units(plan.H), plan.spec
    blocks, states = len(set(s.gate)), 1 + len(s.carried)
    table.put("lf", FLOATS * (H + 16))
    sizes = {
        "modes": 16, "lane": 8 * s.lanes, "who": 2 * H, "opening": H, "z": 2 * blocks * H, "c": states * H,
        "s": s.own * H, "flat": states * (H + 16),
    }  # fmt: skip
    shares = threads.share(units, threads.wanted() if plan.T * units * plan.H > 1e6 else 1)
    places, share_bytes = engine.offsets(sizes)
    of_share = np.repeat(np.arange(len(shares)), [last - first for first, last in shares]) * share_bytes
    with memory.borrowed(len(shares) * share_bytes, engine.poison) as scratch:
        for name, place in places.items():
            table.put(name, scratch + of_share + place)
        threads.run(functools.partial(module(s).stream, table.jobs()), shares)


def _given(plan: Plan, given: Given) -> dict[str, tuple[int, int]]:
    """Return field → (address, bytes from one replica to the next) of what a call brings."""
    strides = engine.strides_of(plan)
    made = {}
    for name, tensor in given.tensors().items():
        if tensor is not None and name != "resets" and tensor.numel():
            made["symbols" if name == "x" and plan.V else name] = (tensor.data_ptr(), strides[name])
    return made


def _unit_table(plan: Plan, given: Given, tensors: dict[str, Tensor | None]) -> _Table:
    """Return a job table of every unit of work with what the call brings and wants."""
    unit = np.arange(plan.R * plan.tiles)
    replica = unit // plan.tiles
    table = _Table(plan, len(unit))
    table.facts(plan)
    table.put("replica", replica)
    table.put_all(_given(plan, given), replica)
    table.order = plan.order if given.lengths is None else engine.order_of(plan, given.lengths)
    table.put("order", table.order.ctypes.data + unit * 16 * plan.rows)
    table.put("length", table.order.ctypes.data + unit * 16 * plan.rows + 8 * plan.rows)
    table.put("rows", engine.rows_of(plan, unit))
    strides = engine.strides_of(plan)
    for name, tensor in tensors.items():
        if tensor is not None and tensor.numel():
            table.put(name, tensor.data_ptr() + replica * strides[name])
    return table


def _run(
    plan: Plan,
    given: Given,
    found: Schedule,
    tensors: dict[str, Tensor | None],
    saved: Tensor,
    backward: bool,
) -> None:
    """Run a pass over every unit of work."""
    units, kernel = plan.R * plan.tiles, module(plan.spec)
    table, unit = _unit_table(plan, given, tensors), np.arange(units)
    table.put_all(found.places(), unit // plan.tiles)
    steps = _sizes(plan).chunk(plan, found.count)
    table.put("chunk", steps or max(1, plan.T))
    if plan.keep and saved.numel():
        table.put("border" if steps else "saved", saved.data_ptr() + unit * FLOATS * saved.shape[-1])
    work = 2.0 * (1 + 2 * backward) * found.ends[:, -1].sum() * plan.B * plan.spec.from_h * plan.H
    shares = threads.share(units, threads.wanted() if work >= engine.SHARED_WORK else 1)
    above = tensors.get("d_outputs") is not None or tensors.get("d_states") is not None
    flat = any(tensors.get(name) is not None for name in ("outputs", "states"))
    most = int(np.diff(found.ends, axis=1).max(initial=0))
    sizes = _scratch(plan, most, backward, above, flat)
    if backward and steps:
        sizes |= _again(plan, found, steps)
    places, share_bytes = engine.offsets(sizes)
    of_share = np.repeat(np.arange(len(shares)), [last - first for first, last in shares]) * share_bytes
    unit_parts = {}
    if backward:
        unit_parts["d_opening"] = found.count
        if tensors.get("d_weight_hh") is not None:
            unit_parts |= {
                "dw": plan.H * plan.spec.slots * _sizes(plan).columns,
                "own_sum": plan.spec.own * plan.spec.units(plan.H),
            }
    unit_places, unit_bytes = engine.offsets(unit_parts)
    with memory.borrowed(len(shares) * share_bytes + units * unit_bytes, engine.poison) as scratch:
        for name, place in places.items():
            table.put(name, scratch + of_share + place)
        for name, place in unit_places.items():
            table.put(name, scratch + len(shares) * share_bytes + unit * unit_bytes + place)
        jobs = table.jobs()
        threads.run(functools.partial(kernel.backward if backward else kernel.forward, jobs), shares)
        if tensors.get("d_weight_hh") is not None:
            whole = [(a * plan.tiles, b * plan.tiles) for a, b in threads.share(plan.R, len(shares))]
            threads.run(functools.partial(kernel.gather, jobs), whole)


def run_forward(plan: Plan, given: Given, outputs: bool, states: bool) -> tuple[Tensor, ...]:
    """Return outputs (R, T, B, H) or empty, last (parts, R, B, H), carried states or empty, and saved."""
    R, T, B, H, s = plan.R, plan.T, plan.B, plan.H, plan.spec
    made = engine.zeros if plan.ragged else engine.buffer
    out = made(R, T, B, H) if outputs else engine.zeros(0)
    carried = made(R, len(s.carried), T, B, H) if states else engine.zeros(0)
    last = engine.buffer(1 + len(s.carried), R, B, H)
    given = engine.padded(plan, given)
    tensors = {"outputs": out if outputs else None, "last": last, "states": carried if states else None}
    if streams(plan):
        if R * B:
            _stream(plan, given, tensors)
        return out, last, carried, engine.zeros(R, plan.tiles, 0)
    found = Schedule(plan, given, slopes=False)
    saved = engine.buffer(R, plan.tiles, _sizes(plan).saved(plan, found.count))
    if R * B:
        _run(plan, given, found, tensors, saved, backward=False)
    return out, last, carried, saved


def run_backward(
    plan: Plan, given: Given, saved: Tensor, from_above: list[Tensor | None], wants: dict[str, bool]
) -> dict[str, Tensor]:
    """Return the wanted gradients by name, as ``engine.run_backward`` does."""
    grads = engine.made_gradients(plan, given, wants)
    if "x" in grads:
        grads["x"].zero_()
    if not plan.R * plan.B:
        return {name: grad.zero_() for name, grad in grads.items()}
    given = engine.padded(plan, given)
    found = Schedule(plan, given, slopes="clocks" in grads)
    above = dict(zip(("d_outputs", "d_last", "d_states"), from_above, strict=True))
    below = {"dx" if name == "x" else f"d_{name}": grad for name, grad in grads.items()}
    _run(plan, given, found, {**above, **below}, saved, backward=True)
    return grads
