"""Generation on the CPU: layers of one cell and a read-out, their weights packed once, go on with rows."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from types import ModuleType

import numpy as np
import torch
from torch import Tensor

from memspan.kernels.cpu import cache, engine, threads
from memspan.kernels.cpu.generate import dispatch, template
from memspan.kernels.cpu.jobs import FIELDS, PLACE, records
from memspan.kernels.cpu.plan import Plan
from memspan.kernels.cpu.pointers import pointer
from memspan.kernels.cpu.rows import PANEL, Choosing, Rows, Written
from memspan.kernels.cpu.spec import LAYOUT, Spec

UNIT_ROWS = 64  # rows of a work unit at most, so that its states stay in the second cache
WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def module_text(spec: Spec) -> str:
    """Return the source of the module that writes with one cell."""
    rows: tuple[int, ...] = LAYOUT[spec.lanes]["gates"][PANEL]  # type: ignore[index]
    tiles = {count: f"gate_tile({count}, {PANEL}, {PANEL}, {PANEL})" for count in rows}
    energies = dispatch("energy_rows", "a, la, start, shift, w, H, D, z", tiles)
    return "\n\n\n".join([HEADER.format(kernel=cache.forward_name(spec)), energies, template("characters")])


HEADER = '''"""Generation with one cell, generated; do not edit."""

import numba as nb

from memspan.kernels.cpu.jobs import jobs_type
from memspan.kernels.cpu.rows import writings_type
from memspan.kernels.cpu.sampling import write_symbols
from memspan.kernels.cpu.tiles import gate_tile
from {kernel} import *

PREPARE = nb.void(jobs_type(), nb.intp)
WRITE = nb.void(jobs_type(), writings_type(), nb.intp, nb.intp, nb.intp)'''


def module(spec: Spec) -> ModuleType:
    """Return the module that writes with one cell; it continues the cell's own kernel module."""
    cache.load_forward(spec)
    return cache.module(f"memspan_writer_{spec.variant}", lambda: module_text(spec))


class Writer(Rows):
    """Rows of text that go on by themselves; weights and states are copied at the start.

    Shapes:
        B rows, V = K symbols, H units. Of every layer ``weight_ih`` (G·H, V) in the first and (G·H, H) above,
        ``weight_hh`` (G·H, H), biases (G·H); read_out (K, H) and (K,); states: a layer each, (parts, B, H).
    """

    def __init__(
        self,
        spec: Spec,
        layers: Sequence[Mapping[str, Tensor]],
        read_out: tuple[Tensor, Tensor],
        states: Sequence[Tensor],
        symbols: np.ndarray,
        seeds: np.ndarray,
        choosing: Choosing,
    ) -> None:
        super().__init__(symbols, seeds, len(read_out[1]), choosing)
        self.module, self.spec = module(spec), spec
        H = read_out[0].shape[1]
        self.plans = [self._plan(H, 0 if k else self.K) for k in range(len(layers))]
        self.h = [engine.buffer(2, self.room, plan.lh) for plan in self.plans]
        self.record = [engine.buffer(2, self.room, max(1, plan.lr)) for plan in self.plans]
        self.packed = [self._room_for(plan) for plan in self.plans]
        self.weights, self.bias = self._panels(*read_out)
        self.order = np.arange(self.room)
        given = [{name: layer[name].contiguous() for name in WEIGHTS if name in layer} for layer in layers]
        self._begin(given, [state.contiguous() for state in states])

    def _plan(self, H: int, V: int) -> Plan:
        return Plan(
            spec=self.spec, R=1, T=1, B=self.room, D=0 if V else H, H=H, V=V,
            keep=False, chunked=0, resets=False, ragged=False,
        )  # fmt: skip

    def _room_for(self, plan: Plan) -> dict[str, Tensor]:
        return {name: engine.buffer(plan.forward_scratch[name]) for name in ("panels", "start")}

    def _panels(self, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """Return the read-out as panels [panel][k][lane], and its padded bias: no symbol lies there."""
        width, H = PANEL * self.spec.lanes, weight.shape[1]
        rows = engine.zeros(self.padded, H)
        rows[: self.K] = weight
        padded = engine.zeros(self.padded).fill_(-torch.inf)
        padded[: self.K] = bias
        return rows.view(-1, width, H).transpose(1, 2).contiguous(), padded

    def _begin(self, layers: Sequence[Mapping[str, Tensor]], states: Sequence[Tensor]) -> None:
        """Pack the weights and put the states in their place."""
        table, keep = self._jobs([(0, self.room)])
        for k, (layer, state) in enumerate(zip(layers, states, strict=True)):
            for name, tensor in {**layer, "state": state}.items():
                table[k, PLACE[name]] = pointer(name, tensor, self.plans[k].expected[name])
        self.module.prepare(records(table), len(self.plans))
        del keep

    def _jobs(self, shares: Sequence[tuple[int, int]]) -> tuple[np.ndarray, list[np.ndarray]]:
        """Return a job for each layer of each share of rows, and the scratch they point into."""
        starts = np.empty((len(shares), len(self.plans), self.room), np.int64)
        tile = 8 * max(self.spec.slots * self.spec.blocks, PANEL) * self.spec.lanes
        z = np.empty((len(shares), tile + 16), np.float32)
        table = np.zeros((len(shares), len(self.plans), len(FIELDS)), np.int64)
        for u, (first, last) in enumerate(shares):
            for k, plan in enumerate(self.plans):
                facts = {
                    "rows": last - first, "D": plan.D, "H": plan.H, "V": plan.V, "B": self.room,
                    "lh": 4 * plan.lh, "lr": 4 * plan.lr, "state_part": 4 * self.room * plan.H,
                    "order": self.order.ctypes.data + 8 * first, "starts": starts[u, k].ctypes.data,
                    "h": self.h[k].data_ptr() + 4 * plan.lh * first,
                    "record": self.record[k].data_ptr() + 4 * plan.lr * first,
                    "z": z[u].ctypes.data + -z[u].ctypes.data % 64,
                    **{name: room.data_ptr() for name, room in self.packed[k].items()},
                }  # fmt: skip
                for name, value in facts.items():
                    table[u, k, PLACE[name]] = value
                starts[u, k] = facts["start"]
        return table.reshape(-1, len(FIELDS)), [starts, z]

    def write(self, steps: int) -> Written:
        """Let every row go on by so many symbols; the last one is read next."""
        shares = self._shares(steps)
        made = self.results(steps)
        table, keep = self._jobs([share for part in shares for share in part])
        writings, scratch = self.writings([share for part in shares for share in part], made)
        energies = np.full(8, self.bias.data_ptr(), np.int64)
        writings["layers"], writings["H"] = len(self.plans), self.plans[0].H
        writings["lh"], writings["starts"] = 4 * self.plans[-1].lh, energies.ctypes.data
        writings["weights"] = self.weights.data_ptr()
        writings["z"] = table[:: len(self.plans), PLACE["z"]]
        edges = np.cumsum([0, *(len(part) for part in shares)])
        work = functools.partial(self.module.write, records(table), writings, steps)
        threads.run(work, list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)))
        del keep, scratch
        self.position += steps
        return self.told(made)

    def _shares(self, steps: int) -> list[list[tuple[int, int]]]:
        """Return the rows of every work unit, a list of them for each thread."""
        sizes = sum(plan.spec.from_h * plan.H * (plan.H + plan.D) for plan in self.plans)
        enough = 2.0 * steps * self.count * sizes >= engine.SHARED_WORK
        parts = []
        for first, last in threads.share(self.count, threads.wanted() if enough else 1):
            units = -(-(last - first) // UNIT_ROWS)
            parts.append([(first + a, first + b) for a, b in threads.share(last - first, units)])
        return parts

    def keep(self, rows: np.ndarray) -> None:
        """Drop every other row; those that stay move up."""
        super().keep(rows)
        slot, chosen = self.position % 2, torch.from_numpy(rows)
        for buffer in (*self.h, *self.record):
            buffer[slot, : self.count] = buffer[slot, chosen]
