"""What does training come to that takes the slope of the time gate for 1 everywhere, as the report proposes?

Equations:
    A gated unit that adds up what it reads holds Σ k_t x_t. Asked for the mean of noise under a planted gate,
    Σ k*_t x_t / Σ k*_t, it answers Σ k_t x_t / Σ k_t and learns τ and s by back-propagation: once with the
    gate's slopes, once with dk/dt = 1, so dk/ds = −1 and dk/dτ = −(t − s)/τ, whatever the phase.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from memspan.cells.time_gate.equations import openness, phase
from memspan.streams import stream
from memspan.tasks.planted_period import PlantedPeriod

TASK = PlantedPeriod(cycles=5, period=50.0, open_ratio=0.2)
AWAY, STEPS, BATCH, DRAWN = 0.01, 400, 32, 10
RATES = {"period": 2e-4, "shift": 0.02}
"""Adam's learning rates of ln τ and s; they fall to 0 in a line, so that the end is not noise."""
FOUND = 0.001
Curve = Callable[[Tensor, Tensor, Tensor], Tensor]


def slope(cases: int, seed: int) -> dict[str, object]:
    """Return how near the planted period two trainings of the same units on the same noise end.

    Returns:
        ``units``: one a seed, half of them start with a period 1% too long, half 1% too short. ``true_found,
        said_found``: those that end within 0.1%; ``true_error, said_error``: the median of |τ/τ* − 1| at the
        end; ``start_error``: at the start; ``said_away``: those that end farther off than they began. For the
        figure ``step``, ``true_curve`` and ``said_curve``, a list a unit.
    """
    units = max(5, cases // 200)
    true, said = (_train(curve, units, seed) for curve in (_gate, _SlopeOne.apply))
    return {
        "units": units,
        "start_error": float(np.median(true[0])),
        "true_found": int((true[-1] < FOUND).sum()),
        "said_found": int((said[-1] < FOUND).sum()),
        "true_error": float(np.median(true[-1])),
        "said_error": float(np.median(said[-1])),
        "said_away": int((said[-1] > said[0]).sum()),
        "step": list(range(0, STEPS + 1, DRAWN)),
        "true_curve": true[::DRAWN].T.tolist(),
        "said_curve": said[::DRAWN].T.tolist(),
    }


def _gate(time: Tensor, period: Tensor, shift: Tensor) -> Tensor:
    """Return k, with the gate's own slopes."""
    return openness(phase(time, period, shift), torch.tensor(TASK.open_ratio, dtype=torch.float64))


class _SlopeOne(torch.autograd.Function):
    """The same k, and a slope of 1 everywhere."""

    @staticmethod
    def forward(ctx: Any, time: Tensor, period: Tensor, shift: Tensor) -> Tensor:
        ctx.save_for_backward(time, period, shift)
        return _gate(time, period, shift)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, Tensor, Tensor]:
        time, period, shift = ctx.saved_tensors
        (g,) = grads
        return None, (-g * (time - shift) / period).sum(1, keepdim=True), -g.sum(1, keepdim=True)


def _train(curve: Curve, units: int, seed: int) -> np.ndarray:
    """Return |τ/τ* − 1| before every step and at the end, (steps + 1, units)."""
    time = torch.arange(TASK.steps, dtype=torch.float64)
    off = AWAY * (-1.0) ** torch.arange(units, dtype=torch.float64).unsqueeze(1)
    log_period = (TASK.period * (1 + off)).log().requires_grad_()
    shift = torch.full((units, 1), TASK.shift).double().requires_grad_()
    rule = torch.optim.Adam(
        [{"params": [log_period], "lr": RATES["period"]}, {"params": [shift], "lr": RATES["shift"]}]
    )
    falling = torch.optim.lr_scheduler.LambdaLR(rule, lambda step: 1 - step / STEPS)
    errors = [_error(log_period)]
    for step in range(STEPS):
        x = torch.from_numpy(stream(seed, "probe slope", step).standard_normal((units, BATCH, TASK.steps)))
        loss = _loss(curve(time, log_period.exp(), shift), x)
        rule.zero_grad()
        loss.backward()
        rule.step()
        falling.step()
        errors.append(_error(log_period))
    return np.stack(errors)


def _loss(k: Tensor, x: Tensor) -> Tensor:
    """Return the squared errors of all units, each the mean over its batch; k (units, T), x (units, B, T)."""
    wanted = x @ torch.from_numpy(TASK.weights())
    answer = (x @ k.unsqueeze(-1)).squeeze(-1) / k.sum(1, keepdim=True)
    return (answer - wanted).square().mean(1).sum()


def _error(log_period: Tensor) -> np.ndarray:
    return (log_period.detach().exp() / TASK.period - 1).abs().squeeze(1).numpy()
