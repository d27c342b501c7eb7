"""What the time gate saves: open units only, all units, an LSTM without a gate, and plain torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from memspan.bench.kernels import Row
from memspan.bench.sides import TOLERANCE
from memspan.bench.timing import QUICK, Effort, Side, Timed, Watch, race, ratio_interval
from memspan.cells.lstm.equations import LSTM
from memspan.cells.time_gate.curve import openness, phase
from memspan.cells.time_gate.equations import TimeGate
from memspan.cells.time_gate.initial import clock_parameters
from memspan.kernels import unroll
from memspan.kernels.unrolling import KernelName
from memspan.machine import code_version
from memspan.streams import stream

SHARES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
LOOPED, PERIODS, CHECKED_STEPS = 0.05, (20.0, 2000.0), 60
OPEN, ALL, PLAIN = "open units only", "all units", "no gate"
LOOP, TORCH = "torch loop", "torch.nn, no gate"
KEY = ("what", "share", "side", "T", "B", "H", "threads")
Call = Callable[[], Any]


@dataclass(frozen=True)
class GatePoint:
    """One thing to time; one input feature, times 0, 1, 2, … shared by the batch, leak 0.

    Args:
        what: ``"training"`` and ``"forward"`` over the whole sequence, ``"one call"`` of T steps as a stream
            of one row, or ``"one call a step"``.
        share: open ratio r of every unit.
        T, B, H: steps, batch, width.
        threads: cores that every side may use.
    """

    what: str
    share: float
    T: int = 1000
    B: int = 128
    H: int = 128
    threads: int = 2


def points(threads: int = 2) -> list[GatePoint]:
    """Return every point of the benchmark."""
    batch = [GatePoint(what, share, threads=threads) for what in ("training", "forward") for share in SHARES]
    alone = {"T": 1000, "B": 1, "H": 512, "threads": threads}
    return batch + [GatePoint(what, LOOPED, **alone) for what in ("one call", "one call a step")]


class Problem:
    """An LSTM under a time gate and the same without one: weights, clocks, input, gradient from above."""

    def __init__(self, point: GatePoint) -> None:
        self.point, H = point, point.H
        self.cell, self.plain = TimeGate(LSTM(1, H), leak=0.0), LSTM(1, H)
        g = stream(0, "bench gate")
        self.period = np.exp(g.uniform(np.log(PERIODS[0]), np.log(PERIODS[1]), H))
        self.shift = g.uniform(0, self.period)
        clocks = clock_parameters(self.period, self.shift, np.full(H, point.share))
        drawn = {name: g.normal(size=shape) / H**0.5 for name, shape in self.plain.parameter_shapes().items()}
        made = {n: torch.tensor(v[None], dtype=torch.float32) for n, v in (drawn | clocks).items()}
        self.p = {name: value.requires_grad_() for name, value in made.items()}
        self.x = torch.tensor(g.normal(size=(1, point.T, point.B, 1)), dtype=torch.float32)
        self.above = torch.tensor(g.normal(size=(1, point.B, H)), dtype=torch.float32)

    def open_share(self) -> float:
        """Return the share of units and steps that are open."""
        steps = np.arange(self.point.T)[:, None]
        return float((phase(steps, self.period, self.shift) < self.point.share).mean())

    def parameters(self, gated: bool) -> dict[str, Tensor]:
        """Return the parameters of the gated cell or of the one without a gate."""
        return {name: self.p[name] for name in (self.cell if gated else self.plain).parameter_shapes()}

    def error(self) -> float:
        """Return the largest difference of both kernels from the float64 reference, relative to a tensor."""
        wanted = self._results("reference", torch.float64)
        kernels: tuple[KernelName, ...] = ("sparse", "cpu")
        return max(max(map(_apart, self._results(k, torch.float32), wanted)) for k in kernels)

    def _results(self, kernel: KernelName, dtype: torch.dtype) -> list[Tensor]:
        """Return outputs, last states and gradients of the first steps."""
        p = {name: value.detach().to(dtype).requires_grad_() for name, value in self.p.items()}
        x = self.x[:, :CHECKED_STEPS].to(dtype)
        made = unroll(self.cell, p, x, kernel=kernel)
        seen = [made.outputs, *made.state]
        return [*seen, *torch.autograd.grad([made.outputs.sum() + made.state[1].sum()], list(p.values()))]

    def train(self, gated: bool, kernel: KernelName) -> Call:
        """Return the call of a training step."""
        cell, p = self.cell if gated else self.plain, self.parameters(gated)

        def call() -> Any:
            made = unroll(cell, p, self.x, outputs="last", kernel=kernel)
            return torch.autograd.grad(made.outputs, list(p.values()), self.above)

        return call

    def forward(self, gated: bool, kernel: KernelName) -> Call:
        """Return the call of a pass that keeps nothing."""
        cell, p = self.cell if gated else self.plain, self.parameters(gated)
        return torch.no_grad()(lambda: unroll(cell, p, self.x, outputs="last", kernel=kernel).outputs)

    def steps(self, gated: bool, kernel: KernelName) -> Call:
        """Return T calls of one step each."""
        cell, p = self.cell if gated else self.plain, self.parameters(gated)
        times = torch.arange(self.point.T, dtype=torch.float64)

        def call() -> Any:
            state = None
            for t in range(self.point.T):
                x, now = self.x[:, t : t + 1], times[t : t + 1]
                state = unroll(cell, p, x, state, times=now, outputs="last", kernel=kernel).state
            return state

        return torch.no_grad()(call)

    def loop(self, train: bool) -> Call:
        """Return the gated cell as a plain loop in torch; openness and input products come beforehand."""
        p = [self.p[name][0] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]

        def call() -> Any:
            k = self._openness()
            zx = self.x[0] @ p[0].T + p[2] + p[3]
            h = c = zx.new_zeros(self.point.B, self.point.H)
            for z, now in zip(zx, k, strict=True):
                i, f, g, o = (z + h @ p[1].T).chunk(4, -1)
                new = f.sigmoid() * c + i.sigmoid() * g.tanh()
                h, c = torch.lerp(h, o.sigmoid() * new.tanh(), now), torch.lerp(c, new, now)
            return torch.autograd.grad(h, p, self.above[0]) if train else h

        return call if train else torch.no_grad()(call)

    def _openness(self) -> Tensor:
        steps = np.arange(self.point.T)[:, None]
        k = openness(steps, period=self.period, shift=self.shift, open_ratio=self.point.share)
        return torch.tensor(k, dtype=torch.float32)

    def torch_nn(self) -> nn.LSTM:
        """Return torch's LSTM with the same weights."""
        made = nn.LSTM(1, self.point.H)
        with torch.no_grad():
            for name, value in made.named_parameters():
                value.copy_(self.p[name.removesuffix("_l0")][0])
        return made

    def torch_stream(self, each: bool) -> Call:
        """Return torch's LSTM over the row in one call, or in T."""
        layer, x = self.torch_nn(), self.x[0]

        def call() -> Any:
            if not each:
                return layer(x)
            state = None
            for t in range(self.point.T):
                _, state = layer(x[t : t + 1], state)
            return state

        return torch.no_grad()(call)


def _apart(mine: Tensor, wanted: Tensor) -> float:
    size = wanted.detach().abs().max().clamp_min(1e-30)
    part = ((mine.double() - wanted).detach().abs().max() / size).item()
    return part if part == part else float("inf")


def calls(problem: Problem) -> dict[str, Call]:
    """Return side → what it does at a point; the first is ours."""
    what = problem.point.what
    if what in ("training", "forward"):
        make = problem.train if what == "training" else problem.forward
        sides = {OPEN: make(True, "sparse"), ALL: make(True, "cpu"), PLAIN: make(False, "cpu")}
        return sides | ({LOOP: problem.loop(what == "training")} if problem.point.share == LOOPED else {})
    each = what == "one call a step"
    ours = problem.steps if each else problem.forward
    return {OPEN: ours(True, "sparse"), PLAIN: ours(False, "cpu"), TORCH: problem.torch_stream(each)}


def measure(point: GatePoint, quick: bool = False) -> list[Row]:
    """Return a row a side; nothing is timed where a kernel differs from the reference."""
    watch, problem = Watch(), Problem(point)
    error = problem.error()
    facts = asdict(point) | {"error": error, "equal": error <= TOLERANCE, "code": code_version()}
    facts["open_share"] = problem.open_share()
    sides = calls(problem)
    if not facts["equal"]:
        return [_row(facts, side) for side in sides]
    runners = [
        Side(name, n, call)
        for name, call in sides.items()
        for n in (range(1, point.threads + 1) if name in (LOOP, TORCH) else (point.threads,))
    ]
    timed = race(runners, QUICK if quick else Effort(3.0, 15, 15))
    facts["foreign_cores"] = watch.foreign()
    return [_row(facts | _against(t, timed[OPEN]), side) for side, t in timed.items()]


def _against(side: Timed, mine: Timed) -> Row:
    """Return what a side took, and how many times as long as open units only."""
    low, high = ratio_interval(side.turns, mine.turns) or (None, None)
    return {
        "ms": side.ms, "calls": side.calls, "side_threads": side.threads,
        "ratio": side.ms / mine.ms, "ratio_low": low, "ratio_high": high,
    }  # fmt: skip


COLUMNS = (
    *("what", "share", "open_share", "side", "T", "B", "H", "threads", "ms", "us_per_step", "ratio"),
    *("ratio_low", "ratio_high"),
    *("equal", "error", "side_threads", "calls", "foreign_cores", "code"),
)
"""A row's keys; ``ratio`` is the side's time over that of ``OPEN`` in the same race, with a 95% interval."""


def _row(facts: Row, side: str) -> Row:
    known = facts | {"side": side}
    known["us_per_step"] = 1e3 * facts["ms"] / facts["T"] if "ms" in facts else None
    return {name: _rounded(known.get(name)) for name in COLUMNS}


def _rounded(value: Any) -> Any:
    """Return a number with four digits: more would be noise."""
    return float(f"{value:.4g}") if isinstance(value, float) else value


def bench(wanted: list[GatePoint], quick: bool = False) -> Iterator[list[Row]]:
    """Yield the rows of one point after the other."""
    for point in wanted:
        yield measure(point, quick)
