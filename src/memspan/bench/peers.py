"""The peers: torch in its ways; at the centre also a reference loop, torchrecurrent and jax."""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import Sequence
from typing import Any

import torch

from memspan.bench.points import Point
from memspan.bench.process import alone
from memspan.bench.sides import FRESH, Call, Problem, Results, ours, peers_of, torch_side
from memspan.bench.timing import Effort, Side, Timed, race
from memspan.machine import cores

REFERENCE, TORCHRECURRENT, JAX = "reference loop", "torchrecurrent", "jax"


def others(problem: Problem) -> tuple[list[Side], dict[str, str]]:
    """Return the other peers' sides, and name → why it is missing or what it does otherwise."""
    sides, notes = [], {}
    modes = range(1, problem.point.threads + 1)
    loop = ours(problem, kernel="reference")
    sides += [Side(REFERENCE, n, loop) for n in modes]
    if problem.point.cell == "lstm":
        notes[TORCHRECURRENT] = "PeepholeLSTM, its nearest: three peephole products more"
        if _installed(TORCHRECURRENT, notes):
            layer = _torchrecurrent(problem)
            sides += [Side(TORCHRECURRENT, n, layer) for n in modes]
    notes[JAX] = "lax.scan, jitted, on every core"
    if problem.point.threads != cores():
        notes[JAX] = "not measured: it cannot be held to fewer threads than there are cores"
    elif _installed(JAX, notes):
        sides.append(Side(JAX, problem.point.threads, jax_side(problem)))
    return sides, notes


def torch_sides(problem: Problem) -> list[Side]:
    """Return torch's ways to do a problem, each in each of its thread modes."""
    calls = {peer: torch_side(problem, peer) for peer in peers_of(problem.point)}
    return [Side(peer, n, call) for peer, call in calls.items() for n in range(1, problem.point.threads + 1)]


def as_it_comes(point: Point, effort: Effort | None = None) -> dict[str, Timed]:
    """Return how fast torch does a point in a process of its own, nothing told to its memory: each way."""
    asked = None if effort is None else dataclasses.astuple(effort)
    found = alone("memspan.bench.peers:_torch_alone", dataclasses.asdict(point), asked)
    return {peer + FRESH: Timed(**timed) for peer, timed in found.items()}


def _torch_alone(point: dict[str, Any], effort: Sequence[Any] | None) -> dict[str, dict[str, Any]]:
    timed = race(torch_sides(Problem.at(Point(**point))), Effort(*effort) if effort else None)
    return {peer: dataclasses.asdict(one) for peer, one in timed.items()}


def _installed(module: str, notes: dict[str, str]) -> bool:
    if importlib.util.find_spec(module) is None:
        notes[module] = "not installed"
        return False
    return True


def _torchrecurrent(problem: Problem) -> Call:
    """Return a call of torchrecurrent's LSTM with peepholes; it has no plain one."""
    from torchrecurrent import PeepholeLSTM

    layer = PeepholeLSTM(1, problem.point.H)
    weights, x, above = list(layer.parameters()), problem.x[0], problem.above[0, -1]

    def call() -> Results:
        with torch.set_grad_enabled(problem.training):
            made = layer(x)[1][0].reshape(above.shape)
        return [made, *torch.autograd.grad(made, weights, above)] if problem.training else [made]

    return call


def jax_side(problem: Problem) -> Call:
    """Return a call of the same cell as one jitted scan with its gradients, weights and gates as torch's."""
    import jax
    from jax import numpy as jnp

    layer = problem.layers[0]
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    weights = [jnp.asarray(getattr(layer, name).detach().numpy()) for name in names]
    x, above = (jnp.asarray(t[0].numpy()) for t in (problem.x, problem.above[:, -1]))
    step = _jax_step(problem.point.cell)

    def last(weights: Any, x: Any) -> Any:
        zero = jnp.zeros_like(above)
        return jax.lax.scan(lambda s, now: (step(weights, now, s), None), (zero, zero), x)[0][0]

    def training(weights: Any, x: Any, above: Any) -> Any:
        made, back = jax.vjp(lambda w: last(w, x), weights)
        return [made, *back(above)[0]]

    work = jax.jit(training if problem.training else lambda weights, x, above: [last(weights, x)])
    return lambda: jax.block_until_ready(work(weights, x, above))


def _jax_step(cell: str) -> Any:
    """Return (weights, x, (h, c)) → (h, c) of a cell; c idle where the cell has none."""
    from jax import nn
    from jax import numpy as jnp

    def rnn(zx: Any, zh: Any, h: Any, c: Any) -> Any:
        return jnp.tanh(zx + zh), c

    def gru(zx: Any, zh: Any, h: Any, c: Any) -> Any:
        (rx, ux, nx), (rh, uh, nh) = (jnp.split(z, 3, -1) for z in (zx, zh))
        update = nn.sigmoid(ux + uh)
        return (1 - update) * jnp.tanh(nx + nn.sigmoid(rx + rh) * nh) + update * h, c

    def lstm(zx: Any, zh: Any, h: Any, c: Any) -> Any:
        i, f, g, o = jnp.split(zx + zh, 4, -1)
        c = nn.sigmoid(f) * c + nn.sigmoid(i) * jnp.tanh(g)
        return nn.sigmoid(o) * jnp.tanh(c), c

    pointwise = {"rnn": rnn, "gru": gru, "lstm": lstm}[cell]
    return lambda w, x, s: pointwise(x @ w[0].T + w[2], s[0] @ w[1].T + w[3], *s)
