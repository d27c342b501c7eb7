"""The job table of a pass: where every unit of work finds its sizes, tensors and buffers."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from memspan.kernels.cpu import memory, threads
from memspan.kernels.cpu.jobs import FIELDS, PLACE, records
from memspan.kernels.cpu.plan import Plan


@dataclasses.dataclass
class Given:
    """The tensors of one call: contiguous, float32 (clocks and times float64, symbols and lengths int64).

    In the order of ``call.TENSORS``.
    """

    x: Tensor
    state: Tensor | None  # (parts, R, B, H), zero if None
    weight_ih: Tensor
    weight_hh: Tensor
    bias_ih: Tensor | None
    bias_hh: Tensor | None
    own: Tensor | None  # (R, vectors · H), of a cell with parameters of its own
    clocks: Tensor | None  # (R, 5, H): periods, shifts, open ratios, the leak, rates
    times: Tensor | None  # (T,), (R, T) or (R, T, B)
    lengths: Tensor | None
    resets: Tensor | None

    def tensors(self) -> dict[str, Tensor | None]:
        """Return what a job points into."""
        return {
            "x": self.x, "resets": self.resets, "weight_ih": self.weight_ih, "weight_hh": self.weight_hh,
            "bias_ih": self.bias_ih, "bias_hh": self.bias_hh, "state": self.state,
            "own": self.own, "clocks": self.clocks, "times": self.times,
        }  # fmt: skip


class Above(NamedTuple):
    """The gradients of what a call returned; None where nothing comes.

    Shapes:
        d_outputs (R, T, B, H); of the last states d_last (R, B, H) that of h and d_carried
        (carried, R, B, H) those of the others; d_states (R, carried, T, B, H).
    """

    d_outputs: Tensor | None
    d_last: Tensor | None
    d_carried: Tensor | None
    d_states: Tensor | None


WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "own", "clocks")
TENSORS = (
    "x", "resets", *WEIGHTS, "times", "state", "outputs", "last", "states",
    *Above._fields, "dx", "d_state", *(f"d_{name}" for name in WEIGHTS),
)  # fmt: skip
OWNERS = ("nothing", *TENSORS, "order", "saved", "scratch")


@dataclasses.dataclass(frozen=True)
class Layout:
    """The job table of one pass over a shape, every address relative to the tensor that owns it.

    A call adds the addresses of its tensors: one sum for all units and fields.
    """

    relative: np.ndarray  # (units, fields)
    owner: np.ndarray  # field → place in OWNERS
    shares: tuple[tuple[int, int], ...]  # units first … last − 1 of every thread
    gathers: tuple[tuple[int, int], ...]  # the same with whole replicas
    scratch: int  # bytes
    idle: list[tuple[np.ndarray, np.ndarray]] = dataclasses.field(default_factory=list)

    @contextlib.contextmanager
    def jobs(self, addresses: list[int]) -> Iterator[np.ndarray]:
        """Lend the jobs for tensors at these addresses, in the order of OWNERS."""
        try:
            table, made = self.idle.pop()
        except IndexError:
            table = np.empty_like(self.relative)
            made = records(table)
        np.add(self.relative, np.array(addresses)[self.owner], out=table)
        yield made
        self.idle.append((table, made))


def strides_of(plan: Plan) -> dict[str, int]:
    """Return the bytes from one replica to the next of every tensor a job points into."""
    s, step = plan.spec, 4 * plan.T * plan.B * plan.H
    gates, state = 4 * len(set(s.gate)) * plan.H, 4 * plan.B * plan.H
    strides = {
        "x": plan.T * plan.B * (8 if plan.V else 4 * plan.D), "resets": plan.T * plan.B,
        "weight_ih": gates * (plan.V or plan.D), "weight_hh": gates * plan.H,
        "bias_ih": gates, "bias_hh": gates, "state": state,
        "outputs": step, "last": state, "states": step * len(s.carried), "dx": 4 * plan.T * plan.B * plan.D,
        "own": 4 * s.own * s.units(plan.H), "clocks": 40 * s.units(plan.H),
        "times": (0, 0, 8 * plan.T, 8 * plan.T * plan.B)[plan.time_axes],
    }  # fmt: skip
    same = ("outputs", "last", "states", "state", "weight_ih", "weight_hh", "bias_ih", "bias_hh")
    strides |= {f"d_{name}": strides[name] for name in same}
    strides["d_carried"] = state
    return strides | {"d_own": 4 * s.own * plan.H, "d_clocks": 24 * plan.H}


def rows_of(plan: Plan, unit: np.ndarray) -> np.ndarray:
    """Return how many rows of the batch every unit of work has; ragged rows are dealt in turn."""
    tile = unit % plan.tiles
    if plan.ragged:
        return (plan.B - 1 - tile) // plan.tiles + 1
    return np.minimum(plan.rows, plan.B - tile * plan.rows)


def layout_of(plan: Plan, *pass_: Any) -> Layout:
    """Return the layout of a pass, made once; see ``_make_layout``."""
    found: Layout | None = plan.layouts.get(pass_)
    if found is None:
        found = plan.layouts[pass_] = _make_layout(plan, *pass_)
    return found


def _make_layout(
    plan: Plan, backward: bool, present: tuple[bool, ...], wanted: int, row: int = 0, passing: bool = False
) -> Layout:
    """Return the layout of a pass in which only some tensors are present; absent ones keep address 0.

    Args:
        wanted: threads.
        row: bytes from one replica's weights, and gradients of weights, to the next one's; 0 where each
            tensor is contiguous.
        passing: whether every unit goes back at once, so that the next one of its thread may reuse what it
            kept.
    """
    units, shares = plan.R * plan.tiles, threads.share(plan.R * plan.tiles, wanted)
    relative, owner = np.zeros((units, len(FIELDS)), np.int64), np.zeros(len(FIELDS), np.intp)
    unit = np.arange(units)

    def put(field: str, values: Any, of: str = "nothing") -> None:
        relative[:, PLACE[field]], owner[PLACE[field]] = values, OWNERS.index(of)

    for name, value in _facts(plan).items():
        put(name, value)
    put("again", int(backward))
    put("replica", unit // plan.tiles)
    put("fresh", threads.first_of_replica(plan.tiles, shares))
    put("rows", rows_of(plan, unit))
    put("order", unit * 16 * plan.rows, "order")
    put("length", unit * 16 * plan.rows + 8 * plan.rows, "order")
    strides = strides_of(plan)
    if row:
        strides |= {prefix + name: row for prefix in ("", "d_") for name in WEIGHTS}
    for name, is_there in zip(TENSORS, present, strict=True):
        if is_there:
            field = "symbols" if name == "x" and plan.V else name
            put(field, unit // plan.tiles * strides[name], name)
    here = {name for name, is_there in zip(TENSORS, present, strict=True) if is_there}
    parts = plan.backward_scratch("dx" in here) if backward else plan.forward_scratch
    places, share_bytes = memory.offsets(parts)
    of_share = threads.share_of_units(shares)
    for name, place in places.items():
        put(name, of_share * share_bytes + place, "scratch")
    total = len(shares) * share_bytes
    if "d_weight_hh" in here:
        places, unit_bytes = memory.offsets(plan.unit_gradients)
        for name, place in places.items():
            put(name, total + unit * unit_bytes + place, "scratch")
        total += units * unit_bytes
    if plan.keep:
        for name, place in plan.saved_places.items():
            put(name, (of_share if passing else unit) * 4 * plan.saved_size + place, "saved")
    whole = threads.share_whole(plan.R, plan.tiles, len(shares))
    return Layout(relative, owner, tuple(shares), tuple(whole), total)


def _facts(plan: Plan) -> dict[str, int]:
    """Return the fields of a job that every unit shares."""
    return {
        "T": plan.T, "B": plan.B, "D": plan.D, "H": plan.H, "V": plan.V,
        "chunk": plan.chunk, "ring": plan.ring, "t0": 0, "t1": plan.T,
        "lh": 4 * plan.lh, "lr": 4 * plan.lr, "lz": 4 * (plan.lw + 16), "ld": 4 * plan.ld, "lw": 4 * plan.lw,
        "lk": 4 * plan.lk,
        "state_part": 4 * plan.R * plan.B * plan.H,
    }  # fmt: skip


def order_of(plan: Plan, lengths: Tensor) -> np.ndarray:
    """Return (R, tiles, 2, rows): every tile's rows, longest first, dealt in turn, and their lengths."""
    table = np.zeros((plan.R, plan.tiles, 2, plan.rows), np.int64)
    given = lengths.numpy()
    longest_first = np.argsort(-given, kind="stable")
    sorted_lengths = np.take_along_axis(given, longest_first, 1)
    for u in range(plan.tiles):
        part = longest_first[:, u :: plan.tiles]
        table[:, u, 0, : part.shape[1]] = part
        table[:, u, 1, : part.shape[1]] = sorted_lengths[:, u :: plan.tiles]
    return table
