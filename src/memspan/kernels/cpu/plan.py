"""The sizes of one call: tiles, buffers, what is kept; ``sequence.py`` says what the buffers hold."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import torch

from memspan.kernels.cpu import cache
from memspan.kernels.cpu.pointers import Expected
from memspan.kernels.cpu.spec import Spec, round_up

TILE_ROWS = 64
LEAST_ROWS = 4  # fewer leave the register tiles waiting for the weights
RING_ROWS = 128
KEEP_BYTES = 512 * 2**20  # a replica whose states take more is run forward again, chunk by chunk
LOG_HEAD = 16
INFERENCE_CHUNK = 8
Kernel = Callable[[np.ndarray, int, int], None]  # jobs, the first unit and the one after the last


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
    time_axes: int = (
        1  # of the timestamps: (T,) for all, (R, T) a clock for each replica, (R, T, B) for each row
    )
    least: int = LEAST_ROWS  # batch rows of a work unit at least

    @property
    def row_times(self) -> bool:
        """Whether every row has timestamps of its own."""
        return self.time_axes == 3

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
    def expected(self) -> dict[str, Expected]:
        """Name → dtype and number of elements of every tensor of a call."""
        s, R, T, B, H = self.spec, self.R, self.T, self.B, self.H
        rows, steps, units = R * B, R * T * B, s.units(H)
        gates, carried = R * len(set(s.gate)) * H, len(s.carried)
        x = (torch.int64, steps) if self.V else (torch.float32, steps * self.D)
        floats = {
            "weight_ih": gates * (self.V or self.D), "weight_hh": gates * H,
            "bias_ih": gates, "bias_hh": gates,
            "state": (1 + carried) * rows * H, "last": (1 + carried) * rows * H,
            "outputs": steps * H, "states": carried * steps * H,
        }  # fmt: skip
        floats |= {f"d_{name}": size for name, size in floats.items()}
        floats |= {"d_last": rows * H, "d_carried": carried * rows * H, "dx": steps * self.D}
        floats |= {
            "own": R * s.own * units,
            "d_own": R * s.own * H,
            "saved": R * self.tiles * self.saved_size,
        }
        doubles = {
            "clocks": 5 * R * units,
            "d_clocks": 3 * R * H,
            "times": (0, T, R * T, steps)[self.time_axes],
        }
        expected = {name: (torch.float32, size) for name, size in floats.items()}
        expected |= {name: (torch.float64, size) for name, size in doubles.items()}
        return expected | {"x": x, "resets": (torch.bool, steps)}

    @functools.cached_property
    def layouts(self) -> dict[tuple[Any, ...], Any]:
        """The layouts that ``layout.layout_of`` has made for this plan."""
        return {}

    def operations(self, passes: int) -> float:
        """Return the operations of so many passes of the recurrent product."""
        return 2.0 * passes * self.R * self.T * self.B * self.spec.from_h * self.H * (self.H + self.D)


def auto_chunk(plan: Plan) -> int:
    """Return 0 where every state can be kept, else the steps between borders, about √T."""
    size = 4 * plan.tiles * (plan.T + 1) * plan.rows * (plan.lh + plan.lr)
    return 0 if size <= KEEP_BYTES else round_up(math.isqrt(plan.T) + 1, plan.ring)
