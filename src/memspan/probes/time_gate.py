"""Is the time gate's curve what its closed forms say, and what the report says of it?

The gate asked is the one networks are trained with, in torch; the closed forms are ``curve.py``'s.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from memspan.cells.time_gate import curve
from memspan.cells.time_gate.equations import openness, phase
from memspan.cells.time_gate.initial import log_uniform
from memspan.streams import stream

NODES, HALVINGS = 33, 60


def time_gate(cases: int, seed: int) -> dict[str, float]:
    """Return the numbers behind c18 and c23 over random gates.

    Returns:
        ``cycle_error, position_error, mean_error, open_error, closed_error`` and ``control_error``, their
        largest: cycle length τ, the shift, mean openness r/2, open time rτ and closed time (1 − r)τ, each as
        found on the curve, relative to its closed form. ``slope_error``: closed slopes against autograd, in
        t, s, τ and r. ``said_error``: a slope of 1 against autograd in t, relative to the larger of the two.
        ``steepest, flattest``: largest and smallest slope while open. ``phase_jump, openness_jump``: the
        smallest jump of φ and the largest of k at the wrap, leak 0. ``leak_jump_error``: jumps with a leak
        against αr and α.
    """
    g = stream(seed, "probe time_gate")
    period = log_uniform(g, 1e-3, 1e6, cases)
    shift, ratio = g.uniform(-1, 1, cases) * period, g.uniform(0.01, 0.95, cases)
    numbers = _controls(g, period, shift, ratio)
    numbers["control_error"] = max(numbers.values())
    leak = g.choice([0.0, 0.001, 0.1], size=cases)
    return numbers | _slopes(g, period, shift, ratio, leak) | _jumps(period, shift, ratio)


def _controls(
    g: np.random.Generator, period: np.ndarray, shift: np.ndarray, ratio: np.ndarray
) -> dict[str, float]:
    """Find the parts of each cycle on the curve and compare them with what the parameters should set."""
    k = _gate(period, shift, ratio)
    peak = shift + ratio * period / 2
    closes = _edge(lambda t: k(t) > 0, peak, shift + period * (1 + ratio) / 2)
    opens = _edge(lambda t: k(t) == 0, shift + period * (1 + ratio) / 2, peak + period)
    again = _edge(lambda t: k(t) == 0, shift + period * (3 + ratio) / 2, peak + 2 * period)
    t, unmoved = g.uniform(0, 3, len(period)) * period, _gate(period, np.zeros_like(shift), ratio)
    return {
        "cycle_error": _apart(again - opens, period),
        "position_error": float(np.abs(k(t + shift) - unmoved(t)).max()),
        "mean_error": _apart(_mean(k, period, shift, ratio), curve.mean_openness(ratio)),
        "open_error": _apart(closes - (opens - period), curve.open_share(ratio) * period),
        "closed_error": _apart(opens - closes, curve.closed_time(period, ratio)),
    }


def _gate(period: np.ndarray, shift: np.ndarray, ratio: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    p, s, r = map(torch.from_numpy, (period, shift, ratio))
    return lambda t: openness(phase(torch.from_numpy(t), p, s), r).numpy()


def _edge(before: Callable[[np.ndarray], np.ndarray], low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return where a condition that is true at low and false at high ends, by halving."""
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        true = before(middle)
        low, high = np.where(true, middle, low), np.where(true, high, middle)
    return high


def _mean(
    k: Callable[[np.ndarray], np.ndarray], period: np.ndarray, shift: np.ndarray, ratio: np.ndarray
) -> np.ndarray:
    """Return the mean of k over a cycle by the trapezium rule on each of its parts."""
    corners = np.stack([0 * ratio, ratio / 2, ratio, 1 + 0 * ratio])
    total = np.zeros_like(ratio)
    for begin, end in itertools.pairwise(corners):
        at = np.linspace(begin, end, NODES)
        total += np.trapezoid(np.stack([k(shift + phi * period) for phi in at]), at, axis=0)
    return total


def _slopes(
    g: np.random.Generator, period: np.ndarray, shift: np.ndarray, ratio: np.ndarray, leak: np.ndarray
) -> dict[str, float]:
    """Compare slopes with autograd at random times of three cycles, half of them while open."""
    share = np.where(g.random(len(period)) < 0.5, g.random(len(period)) * ratio, g.random(len(period)))
    time = shift + (g.integers(0, 3, len(period)) + share) * period
    leaves = [torch.from_numpy(v).requires_grad_() for v in (time, shift, period, ratio)]
    found, phi = _derivatives(leaves, torch.from_numpy(leak))
    rising, falling, closed = curve.slopes(period, ratio, leak)
    part = [phi < ratio / 2, phi < ratio]
    slope = np.select(part, [rising, falling], closed)
    by_ratio = np.select(part, [-2 * phi / ratio**2, 2 * phi / ratio**2], 0.0)
    told = (slope, -slope, -slope * (time - shift) / period, by_ratio)
    opened = np.abs(slope[phi < ratio])
    return {
        "slope_error": max(_apart(a, b) for a, b in zip(found, told, strict=True)),
        "said_error": _apart(np.ones_like(slope), found[0]),
        "steepest": float(opened.max()),
        "flattest": float(opened.min()),
    }


def _derivatives(leaves: list[Tensor], leak: Tensor) -> tuple[list[np.ndarray], np.ndarray]:
    """Return dk/dt, dk/ds, dk/dτ and dk/dr by autograd, and the phases, from t, s, τ, r and α."""
    time, shift, period, ratio = leaves
    phi = phase(time, period, shift)
    gradients = torch.autograd.grad(openness(phi, ratio, leak).sum(), leaves)
    return [d.numpy() for d in gradients], phi.detach().numpy()


def _jumps(period: np.ndarray, shift: np.ndarray, ratio: np.ndarray) -> dict[str, float]:
    """Look at both sides of the wrap and of the closing, a billionth of a cycle apart."""
    leak, near = 0.1, 1e-9
    p, s, r = map(torch.from_numpy, (period, shift, ratio))
    wrap, closing = s + p, s + r * p

    def sides(at: Tensor, alpha: float) -> tuple[np.ndarray, np.ndarray]:
        before, after = (phase(at + side * near * p, p, s) for side in (-1, 1))
        return (before - after).numpy(), (openness(after, r, alpha) - openness(before, r, alpha)).numpy()

    phase_jump, still = sides(wrap, 0.0)
    down, up = sides(wrap, leak)[1], sides(closing, leak)[1]
    return {
        "phase_jump": float(phase_jump.min()),
        "openness_jump": float(np.abs(still).max()),
        "leak_jump_error": max(float(np.abs(down + leak).max()), float(np.abs(up - leak * ratio).max())),
    }


def _apart(a: np.ndarray, b: np.ndarray) -> float:
    """Return the largest difference, each relative to the larger of the two numbers."""
    size = np.maximum(np.abs(a), np.abs(b))
    return float((np.abs(a - b) / np.where(size == 0, 1.0, size)).max())
