"""Runs the sparse time gate on torch tensors: schedule, buffers, jobs.

How much there is to do is known only once the clocks were asked, so a call has two passes: the schedule of
every replica, then its units of work with buffers of the size that follows.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any

import numpy as np
from torch import Tensor

from memspan.kernels.cpu import cache, engine, memory, threads
from memspan.kernels.cpu.jobs import records
from memspan.kernels.cpu.layout import Above, Given, order_of, rows_of, strides_of
from memspan.kernels.cpu.plan import KEEP_BYTES, Plan
from memspan.kernels.cpu.pointers import kept as kept_for_backward
from memspan.kernels.cpu.pointers import pointer
from memspan.kernels.cpu.sparse.generate import kept, sparse_text
from memspan.kernels.cpu.sparse.jobs import FIELDS, PLACE
from memspan.kernels.cpu.spec import Spec, round_up

FLOATS = 4
KINDS = {"ends": np.int64, "who": np.int64, "opening": np.float32, "slope": np.float64}
STREAM_PART = 4  # rows fill so small a part of the lanes at most where they run one by one


def module(spec: Spec) -> ModuleType:
    """Return the module of one cell's sparse kernel."""
    return cache.module(f"{cache.forward_name(spec)}_sparse", lambda: sparse_text(spec))


@dataclasses.dataclass(frozen=True)
class Schedule:
    """The openings of every replica, in the order of time, one row a replica; see ``lanes.py``."""

    ends: np.ndarray
    who: np.ndarray
    opening: np.ndarray
    slope: np.ndarray

    @functools.cached_property
    def count(self) -> int:
        """Openings of the busiest replica."""
        return int(self.ends[:, -1].max(initial=0))

    @functools.cached_property
    def busiest(self) -> int:
        """Openings of the busiest step."""
        return int(np.diff(self.ends, axis=1).max(initial=0))

    def places(self) -> dict[str, tuple[int, int]]:
        """Return field → (address, bytes from one replica to the next)."""
        return {f.name: _place(getattr(self, f.name)) for f in dataclasses.fields(self)}

    def keep(self, plan: Plan, saved: Tensor) -> None:
        """Copy the openings that there are to the head of what a call keeps for backward."""
        kept = self.kept(plan, saved, self.count)
        for field in dataclasses.fields(self):
            to = getattr(kept, field.name)
            to[:] = getattr(self, field.name)[:, : to.shape[1]]

    @classmethod
    def kept(cls, plan: Plan, saved: Tensor, count: int | None = None) -> Schedule:
        """Return the openings at the head of what a call has kept, as views of it."""
        whole = saved.flatten(1).numpy()
        ends = whole[:, : 2 * plan.T + 2].view(np.int64)
        room = schedule_room(plan.T, int(ends[:, -1].max(initial=0)) if count is None else count)
        parts = {
            name: whole[:, place // FLOATS : place // FLOATS + room[name]].view(KINDS[name])
            for name, place in memory.offsets(room)[0].items()
        }
        return cls(**parts)


def _place(array: np.ndarray) -> tuple[int, int]:
    return array.ctypes.data, array.strides[0]


def schedule_room(T: int, count: int) -> dict[str, int]:
    """Return the floats of every part of a replica's schedule; whole numbers and slopes take two each."""
    return {"ends": 2 * T + 2, "who": 2 * count, "opening": count, "slope": 6 * count}


def find_openings(plan: Plan, given: Given) -> Schedule:
    """Ask the clocks of every replica when their units are open, and how the openness changes with them."""
    R, most = plan.R, max(1, plan.T * plan.H)  # as much as could open; only what does is ever touched
    ends = np.zeros((R, plan.T + 1), np.int64)
    who, opening = np.empty((R, most), np.int64), np.empty((R, most), np.float32)
    found = Schedule(ends, who, opening, np.empty((R, 3 * most if plan.keep else 0), np.float64))
    lane = np.empty((R, 4 * plan.spec.lanes), np.float64)
    table = _Table(plan, 1, {name: given.tensors()[name] for name in ("clocks", "times")})
    places = found.places() if plan.keep else found.places() | {"slope": (0, 0)}
    table.put_all(places | {"lane": _place(lane)})
    shares = threads.share(R, threads.wanted() if plan.T * plan.H * R > 2e6 else 1)
    threads.run(threads.Walk(module(plan.spec).schedule, table.jobs()), shares)
    return found


class _Table:
    """The job table of one call: what follows from its shape is made once, then addresses are added.

    Args:
        plan: the shape.
        tiles: units of work a replica.
        tensors: what jobs point into; those that are not there keep address 0.
        lengths: of ragged rows.
    """

    def __init__(
        self, plan: Plan, tiles: int, tensors: dict[str, Tensor | None], lengths: Tensor | None = None
    ) -> None:
        expected = plan.expected
        addresses = {name: pointer(name, tensor, expected[name]) for name, tensor in tensors.items()}
        present = tuple(name for name, address in addresses.items() if address)
        relative, owner = _layout(plan, tiles, present)
        self.order = plan.order if lengths is None else order_of(plan, lengths)
        held = [0, self.order.ctypes.data, *(addresses[name] for name in present)]
        self.rows = relative + np.array(held)[owner]
        self.replica = np.arange(len(self.rows)) // tiles

    def put(self, field: str, values: Any) -> None:
        """Write a field of every unit."""
        self.rows[:, PLACE[field]] = values

    def put_all(self, places: dict[str, tuple[int, int]]) -> None:
        """Write addresses that differ by replica."""
        for name, (address, stride) in places.items():
            self.put(name, address + self.replica * stride)

    def jobs(self) -> np.ndarray:
        """Return the records."""
        return records(self.rows, FIELDS)

    @contextlib.contextmanager
    def lent(
        self, shares: Sequence[tuple[int, int]], of_thread: dict[str, int], of_unit: dict[str, int]
    ) -> Iterator[np.ndarray]:
        """Return the records, with buffers of so many floats for every thread and every unit of work."""
        fields, places, size = _scratch_places(
            tuple(of_thread.items()), tuple(of_unit.items()), tuple(shares)
        )
        with memory.Borrowed(size, engine.poison) as scratch:
            self.rows[:, fields] = scratch + places
            yield self.jobs()


@functools.lru_cache(maxsize=512)
def _scratch_places(
    of_thread: tuple[tuple[str, int], ...],
    of_unit: tuple[tuple[str, int], ...],
    shares: tuple[tuple[int, int], ...],
) -> tuple[np.ndarray, np.ndarray, int]:
    """Return the fields of buffers, where each unit of work finds them in the scratch, and its bytes."""
    by_thread, thread_bytes = memory.offsets(dict(of_thread))
    by_unit, unit_bytes = memory.offsets(dict(of_unit))
    share, after = threads.share_of_units(shares), len(shares) * thread_bytes
    found = {PLACE[name]: share * thread_bytes + at for name, at in by_thread.items()}
    unit = np.arange(len(share))
    found |= {PLACE[name]: after + unit * unit_bytes + at for name, at in by_unit.items()}
    return np.array(list(found)), np.stack(list(found.values()), 1), after + len(unit) * unit_bytes


@functools.lru_cache(maxsize=512)
def _layout(plan: Plan, tiles: int, present: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return a job table with every address relative to what it points into, and field → what that is."""
    z, unit = _sizes(plan), np.arange(plan.R * tiles)
    relative, owner = np.zeros((len(unit), len(FIELDS)), np.int64), np.zeros(len(FIELDS), np.intp)
    facts: dict[str, Any] = {
        "T": plan.T, "B": plan.B, "D": plan.V or plan.D, "H": plan.H, "units": plan.spec.units(plan.H),
        "ls": FLOATS * z.lanes, "lf": FLOATS * z.flat, "lw": FLOATS * z.columns,
        "lp": FLOATS * z.panel, "le": FLOATS * z.record, "state_part": FLOATS * plan.R * plan.B * plan.H,
        "replica": unit // tiles, "order": unit * 16 * plan.rows,
        "length": unit * 16 * plan.rows + 8 * plan.rows,
    }  # fmt: skip
    if tiles == plan.tiles:
        facts["rows"] = rows_of(plan, unit)
    strides = strides_of(plan)
    for name, value in facts.items():
        relative[:, PLACE[name]] = value
    owner[[PLACE["order"], PLACE["length"]]] = 1
    for place, name in enumerate(present, start=2):
        field = "symbols" if name == "x" and plan.V else name
        relative[:, PLACE[field]] = unit // tiles * strides[name]
        owner[PLACE[field]] = place
    return relative, owner


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

    def unit(self, plan: Plan, count: int) -> int:
        """Floats a unit of work keeps for backward: every opening, or the states at the borders of chunks."""
        steps = self.chunk(plan, count)
        return -(-plan.T // steps) * self.border if steps else count * self.record + plan.H * self.lanes

    def saved(self, plan: Plan, count: int) -> int:
        """Floats a tile's part of what a call keeps: a replica's schedule, then its units of work."""
        if not plan.keep:
            return 0
        return self.unit(plan, count) + round_up(-(-_head(plan, count) // plan.tiles), 16)

    def chunk(self, plan: Plan, count: int) -> int:
        """Steps between borders, 0 where every opening can be kept; the numbers are the same either way."""
        if not plan.keep or plan.chunked >= 0:
            return plan.chunked
        if 4 * plan.tiles * count * self.record <= KEEP_BYTES:
            return 0
        return max(1, round(plan.T * (self.border / (count * self.record)) ** 0.5))


def _head(plan: Plan, count: int) -> int:
    """Return the floats that a replica's schedule takes."""
    return memory.offsets(schedule_room(plan.T, count))[1] // FLOATS


@functools.lru_cache(maxsize=512)
def _sizes(plan: Plan) -> _Sizes:
    return _Sizes(plan)


def _scratch(plan: Plan, most: int, backward: bool, there: set[str]) -> dict[str, int]:
    """Return the buffers of a thread; most: openings of the busiest step; there: tensors of the call."""
    z, H = _sizes(plan), plan.H
    rows, kinds = H + 1 + (plan.V or plan.D), 1 + z.states
    sizes = {"modes": 16, "panel": H * z.panel, "live": z.lanes, "z": most * plan.spec.slots * z.lanes}
    if not backward:
        flat = kinds * plan.rows * z.flat if there & {"outputs", "states"} else 0
        return sizes | {"s": rows * z.lanes, "c": z.states * H * z.lanes, "flat": flat}
    return sizes | {
        "dh": rows * z.lanes, "dc": z.states * H * z.lanes, "flat": plan.rows * z.flat,
        "above": kinds * plan.rows * H if there & {"d_outputs", "d_states"} else 0,
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
    table = _Table(plan, plan.tiles, given.tensors() | tensors, given.lengths)
    units, H, s = len(table.rows), plan.spec.units(plan.H), plan.spec
    blocks, states = len(set(s.gate)), 1 + len(s.carried)
    table.put("lf", FLOATS * (H + 16))
    sizes = {
        "modes": 16, "lane": 8 * s.lanes, "who": 2 * H, "opening": H, "z": 2 * blocks * H, "c": states * H,
        "s": s.own * H, "flat": states * (H + 16),
    }  # fmt: skip
    shares = threads.share(units, threads.wanted() if plan.T * units * plan.H > 1e6 else 1)
    with table.lent(shares, sizes, {}) as jobs:
        threads.run(threads.Walk(module(s).stream, jobs), shares)


def _run(
    plan: Plan,
    given: Given,
    found: Schedule,
    tensors: dict[str, Tensor | None],
    saved: Tensor | None,
    backward: bool,
) -> None:
    """Run a pass over every unit of work."""
    kernel, table = module(plan.spec), _Table(plan, plan.tiles, given.tensors() | tensors, given.lengths)
    there = {name for name, tensor in tensors.items() if tensor is not None}
    table.put_all(found.places())
    steps = _put_kept(table, plan, saved, found.count)
    work = 2.0 * (1 + 2 * backward) * found.ends[:, -1].sum() * plan.B * plan.spec.from_h * plan.H
    shares = threads.share(len(table.rows), threads.wanted() if work >= engine.SHARED_WORK else 1)
    sizes = _scratch(plan, found.busiest, backward, there)
    if backward and steps:
        sizes |= _again(plan, found, steps)
    with table.lent(shares, sizes, _sums(plan, found.count, there) if backward else {}) as jobs:
        threads.run(threads.Walk(kernel.backward if backward else kernel.forward, jobs), shares)
        if "d_weight_hh" in there:
            whole = threads.share_whole(plan.R, plan.tiles, len(shares))
            threads.run(threads.Walk(kernel.gather, jobs), whole)


def _put_kept(table: _Table, plan: Plan, saved: Tensor | None, count: int) -> int:
    """Point every unit of work at its part of what is kept. Return the steps between borders, 0 for none."""
    z = _sizes(plan)
    steps = z.chunk(plan, count)
    table.put("chunk", steps or max(1, plan.T))
    if saved is not None and saved.numel():
        tile = np.arange(len(table.rows)) % plan.tiles
        floats = table.replica * saved[0].numel() + _head(plan, count) + tile * z.unit(plan, count)
        table.put("border" if steps else "saved", saved.data_ptr() + FLOATS * floats)
    return steps


def _sums(plan: Plan, count: int, there: set[str]) -> dict[str, int]:
    """Return the buffers of a unit of work backward: its part of the gradients."""
    sizes = {"d_opening": count}
    if "d_weight_hh" in there:
        sizes["dw"] = plan.H * plan.spec.slots * _sizes(plan).columns
        sizes["own_sum"] = plan.spec.own * plan.spec.units(plan.H)
    return sizes


def run_forward(plan: Plan, given: Given, outputs: bool, states: bool) -> engine.Forward:
    """Return what ``engine.run_forward`` does."""
    R, T, B, H, s = plan.R, plan.T, plan.B, plan.H, plan.spec
    made = engine.zeros if plan.ragged else engine.buffer
    out = made(R, T, B, H) if outputs else None
    carried = made(R, len(s.carried), T, B, H) if states else None
    last = engine.buffer(1 + len(s.carried), R, B, H)
    given = engine.padded(plan, given)
    tensors: dict[str, Tensor | None] = {"outputs": out, "last": last, "states": carried}
    if streams(plan):
        if R * B:
            _stream(plan, given, tensors)
        return out, last, carried, None
    found = find_openings(plan, given)
    saved = engine.buffer(R, plan.tiles, _sizes(plan).saved(plan, found.count)) if plan.keep else None
    if R * B:
        _run(plan, given, found, tensors, saved, backward=False)
        if saved is not None:
            found.keep(plan, saved)
    return out, last, carried, saved


def run_backward(
    plan: Plan, given: Given, saved: Tensor, above: Above, wants: dict[str, bool]
) -> dict[str, Tensor]:
    """Return the wanted gradients by name, as ``engine.run_backward`` does."""
    grads = engine.made_gradients(plan, given, wants)
    if "x" in grads:
        grads["x"].zero_()
    if not plan.R * plan.B:
        return {name: grad.zero_() for name, grad in grads.items()}
    below = {"dx" if name == "x" else f"d_{name}": grad for name, grad in grads.items()}
    saved = kept_for_backward(saved, (plan.R, plan.tiles, saved.shape[-1]))
    found = Schedule.kept(plan, saved)
    kept_for_backward(saved, (plan.R, plan.tiles, _sizes(plan).saved(plan, found.count)))
    _run(plan, engine.padded(plan, given), found, {**above._asdict(), **below}, saved, backward=True)
    return grads
