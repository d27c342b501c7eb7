"""Runs a generated module on torch tensors: buffers, jobs, threads."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import math
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from memspan.kernels.cpu import cache, memory, threads
from memspan.kernels.cpu.jobs import FIELDS, PLACE, records
from memspan.kernels.cpu.spec import Spec, round_up

TILE_ROWS = 64
LEAST_ROWS = 4  # fewer leave the register tiles waiting for the weights
RING_ROWS = 128
KEEP_BYTES = 512 * 2**20  # a replica whose states take more is run forward again, chunk by chunk
SHARED_WORK = 5e6  # operations below which a second thread costs more than it brings
Kernel = Callable[[np.ndarray, int, int], None]  # jobs, the first unit and the one after the last
LOG_HEAD = 16
INFERENCE_CHUNK = 8

poison = False  # tests set this: every buffer starts as NaN


def buffer(*shape: int) -> Tensor:
    """Return an uninitialised float32 tensor, NaN where tests ask for it."""
    made = memory.lease(shape)
    return made.fill_(math.nan) if poison else made


def zeros(*shape: int) -> Tensor:
    """Return a float32 tensor of zeros, whatever torch's defaults are."""
    return torch.zeros(shape, dtype=torch.float32, device="cpu")


@functools.lru_cache(maxsize=256)
def tile_rows(B: int, least: int) -> int:
    """Return the batch rows of a work unit, a multiple of ``least`` where there are several.

    A function of the batch, never of the threads, so that bits know no threads.
    """
    tiles = max(2, -(-B // TILE_ROWS))
    return round_up(-(-B // tiles), least) if 2 * least <= B else max(1, B)


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
    row_times: bool = False  # a timestamp for every row and step, instead of one for all rows
    least: int = LEAST_ROWS  # batch rows of a work unit at least

    @functools.cached_property
    def rows(self) -> int:
        """Batch rows of a work unit."""
        return tile_rows(self.B, self.least)

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
        return self.spec.record * self.spec.units(self.H)

    @functools.cached_property
    def lw(self) -> int:
        """Columns of dz."""
        return self.spec.gradient_columns(self.H)

    @functools.cached_property
    def ld(self) -> int:
        """Floats of a row of dh."""
        return max(self.spec.units(self.H), self.spec.wide(self.H)) + 16

    @functools.cached_property
    def lk(self) -> int:
        """Floats of a row of openness where every row has its own, else 0."""
        return self.spec.units(self.H) if self.row_times else 0

    @functools.cached_property
    def openness(self) -> int:
        """Floats that hold the openness of one step."""
        return (self.rows if self.row_times else 1) * self.spec.units(self.H) if self.spec.gated else 0

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
    def saved_places(self) -> dict[str, int]:
        """Return where the kept buffers of a unit lie in its part, in bytes."""
        if self.chunked:
            return {"border": 0}
        ends = itertools.accumulate(self.window.values(), initial=0)
        return {name: 4 * at for (name, size), at in zip(self.window.items(), ends, strict=False) if size}

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
            "open": self.openness,
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
            "open": self.openness,
            "d_open": self.openness,
            **self.own_sums,
        }
        if dx:
            sizes |= {"panels_x": columns * s.from_x * units, "dx_row": self.rows * columns}
        base = self.forward_scratch if self.chunked else {"modes": 16, "starts": 2 * self.rows}
        return base | sizes

    @functools.cached_property
    def own_sums(self) -> dict[str, int]:
        """Sums of the gradients of a cell's own parameters and of its clocks, the latter in float64."""
        units = self.spec.units(self.H)
        return {"own_sum": self.spec.own * units, "clock_sum": 6 * units if self.spec.gated else 0}

    @functools.cached_property
    def unit_gradients(self) -> dict[str, int]:
        """Sums of weight gradients of one unit."""
        units = self.spec.units(self.H)
        sizes = {"dw": self.spec.from_h * units * self.ld, "dw_x": (1 + self.D) * self.lw}
        sizes |= self.own_sums
        return sizes | ({"d_table": self.V * self.lw} if self.V else {})

    @functools.cached_property
    def order(self) -> np.ndarray:
        """The rows of every tile where every row is as long as the batch."""
        table = np.zeros((self.R, self.tiles, 2, self.rows), np.int64)
        for u in range(self.tiles):
            part = np.arange(self.B)[u * self.rows : (u + 1) * self.rows]
            table[:, u, 0, : len(part)], table[:, u, 1, : len(part)] = part, self.T
        return table

    @functools.cached_property
    def order_address(self) -> int:
        """Where ``order`` lies."""
        return self.order.ctypes.data

    @functools.cached_property
    def forward(self) -> Kernel:
        """The walk forward with this cell."""
        kernel: Kernel = cache.load_forward(self.spec).forward
        return kernel

    @functools.cached_property
    def backward(self) -> ModuleType:
        """The module that walks backward with this cell."""
        return cache.load_backward(self.spec)

    @functools.cached_property
    def _recipes(self) -> dict[tuple[Any, ...], Recipe]:
        return {}

    def recipe(self, *pass_: Any) -> Recipe:
        """Return the recipe of a pass; see ``_make_recipe``."""
        found = self._recipes.get(pass_)
        if found is None:
            found = self._recipes[pass_] = _make_recipe(self, *pass_)
        return found

    def operations(self, passes: int) -> float:
        """Return the operations of so many passes of the recurrent product."""
        return 2.0 * passes * self.R * self.T * self.B * self.spec.from_h * self.H * (self.H + self.D)


def auto_chunk(plan: Plan) -> int:
    """Return 0 where every state can be kept, else the steps between borders, about √T."""
    size = 4 * plan.tiles * (plan.T + 1) * plan.rows * (plan.lh + plan.lr)
    return 0 if size <= KEEP_BYTES else round_up(math.isqrt(plan.T) + 1, plan.ring)


def offsets(sizes: dict[str, int]) -> tuple[dict[str, int], int]:
    """Return where every part lies, one after the other on cache lines, and the bytes in all."""
    places, offset = {}, 0
    for name, size in sizes.items():
        places[name] = 4 * offset
        offset += round_up(size, 16) + 16
    return places, 4 * offset


@dataclasses.dataclass
class Given:
    """The tensors of one call: contiguous, float32 (clocks and times float64, symbols and lengths int64).

    In the order of ``ops.TENSORS``.
    """

    x: Tensor
    state: Tensor | None  # (parts, R, B, H), zero if None
    weight_ih: Tensor
    weight_hh: Tensor
    bias_ih: Tensor | None
    bias_hh: Tensor | None
    own: Tensor | None  # (R, vectors · H), of a cell with parameters of its own
    clocks: Tensor | None  # (R, 5, H): periods, shifts, open ratios, the leak, rates
    times: Tensor | None  # (T,) or (R, T, B)
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
class Recipe:
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
        "times": 8 * plan.T * plan.B if plan.row_times else 0,
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


def _make_recipe(
    plan: Plan, backward: bool, present: tuple[bool, ...], wanted: int, row: int = 0, passing: bool = False
) -> Recipe:
    """Return the recipe of a pass in which only some tensors are present; absent ones keep address 0.

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
    places, share_bytes = offsets(parts)
    of_share = threads.share_of_units(shares)
    for name, place in places.items():
        put(name, of_share * share_bytes + place, "scratch")
    total = len(shares) * share_bytes
    if "d_weight_hh" in here:
        places, unit_bytes = offsets(plan.unit_gradients)
        for name, place in places.items():
            put(name, total + unit * unit_bytes + place, "scratch")
        total += units * unit_bytes
    if plan.keep:
        for name, place in plan.saved_places.items():
            put(name, (of_share if passing else unit) * 4 * plan.saved_size + place, "saved")
    whole = threads.share_whole(plan.R, plan.tiles, len(shares))
    return Recipe(relative, owner, tuple(shares), tuple(whole), total)


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


def address(tensor: Tensor | None) -> int:
    """Return where a tensor's numbers lie, 0 for none."""
    return 0 if tensor is None else tensor.data_ptr()


def _run(plan: Plan, tensors: dict[str, Tensor | None], lengths: Tensor | None, saved: Tensor | None) -> None:
    """Run a pass: forward, or backward where the gradient of a weight or an input is among the tensors."""
    backward = "d_last" in tensors
    addresses = [address(tensors.get(name)) for name in TENSORS]
    wanted = threads.wanted() if plan.operations(1 + backward) >= SHARED_WORK else 1
    recipe = plan.recipe(backward, tuple(map(bool, addresses)), wanted)
    order, at = plan.order, plan.order_address
    if lengths is not None:
        order = order_of(plan, lengths)
        at = order.ctypes.data
    with (
        memory.Borrowed(recipe.scratch, poison) as scratch,
        recipe.jobs([0, *addresses, at, address(saved), scratch]) as jobs,
    ):
        for phase in _phases(plan, recipe, jobs, backward, order):
            threads.run(*phase)


def _phases(
    plan: Plan, recipe: Recipe, jobs: np.ndarray, backward: bool, order: np.ndarray
) -> Iterator[tuple[threads.Work, threads.Shares]]:
    """Return what a pass does: a walk, and after one that goes back to weights the sums over the tiles."""
    if not backward:
        yield threads.Walk(plan.forward, jobs), recipe.shares
        return
    walk: threads.Work = threads.Walk(plan.backward.backward, jobs)
    if plan.chunked:
        walk = functools.partial(_chunk_by_chunk(plan, order), jobs)
    yield walk, recipe.shares
    if jobs[0]["d_weight_hh"]:
        yield threads.Walk(plan.backward.gather, jobs), recipe.gathers


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
        addresses = [address(tensors.get(name)) for name in TENSORS]
        self.recipe = plan.recipe("d_last" in tensors, tuple(map(bool, addresses)), wanted, row, True)
        self.scratch, self.kept = memory.Block(self.recipe.scratch), (tensors, saved)
        if poison:
            self.scratch.floats.fill(math.nan)
        owners = [0, *addresses, plan.order_address, address(saved), self.scratch.address]
        with self.recipe.jobs(owners) as jobs:
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
        grads["state"] = buffer(*given.state.shape)
    if any(wants[name] for name in WEIGHTS):
        for name in WEIGHTS:
            like = getattr(given, name)
            if like is not None and name != "clocks":
                grads[name] = buffer(*like.shape)
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
    below = {"dx" if name == "x" else f"d_{name}": grad for name, grad in grads.items()}
    _run(plan, {**padded(plan, given).tensors(), **above._asdict(), **below}, given.lengths, saved)
    return grads
