"""What a temperature does to a softmax, and what float32 does to its logarithm."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from memspan.streams import stream

RANGES = (10.0, 80.0, 100.0, 110.0, 1000.0)
"""Differences between the largest and the smallest logit at which both ways are compared."""


def temperature(cases: int, seed: int) -> dict[str, float]:
    """Return how well a read-out scaled by T undoes a division by T, over random read-outs.

    Returns:
        ``undo_error``: largest relative difference of the probabilities softmax((TW h + Tb)/T) and
        softmax(Wh + b); ``kept_error``: the same without the scaling, so what a network would have to undo.
    """
    g = stream(seed, "probe temperature")
    T = g.uniform(0.25, 4, (cases, 1))
    W, h, b = g.normal(size=(cases, 57, 16)), g.normal(size=(cases, 16)), g.normal(size=(cases, 57))
    energies = np.einsum("nkd,nd->nk", W, h) + b
    scaled = np.einsum("nkd,nd->nk", T[..., None] * W, h) + T * b
    plain, undone, kept = (_softmax(x) for x in (energies, scaled / T, energies / T))
    return {"undo_error": _apart(plain, undone), "kept_error": _apart(plain, kept)}


def log_softmax(cases: int, seed: int) -> dict[str, float]:
    """Return errors of log(softmax(x)) and of log_softmax(x) in float32 against float64, 57 classes.

    Errors are relative to the value, or to 1 where it is smaller. The gradient is that of −log p of the least
    likely class, in the logits.

    Returns:
        ``fused_error``, ``fused_gradient_error``: the largest of log_softmax over all ranges. For each
        range R ``naive_error_R``, the largest of log(softmax) where it is finite; ``naive_lost_R``, the share
        of cases in which a value is not; ``naive_gradient_lost_R``, the share whose gradient is not.
    """
    g = stream(seed, "probe log_softmax")
    found = [_at_range(g, size, cases // len(RANGES)) for size in RANGES]
    worst = {
        name: max(numbers[name] for numbers in found) for name in ("fused_error", "fused_gradient_error")
    }
    naive = {
        f"{name}_{size:g}": value
        for size, numbers in zip(RANGES, found, strict=True)
        for name, value in numbers.items()
        if name.startswith("naive")
    }
    return worst | naive


def _at_range(g: np.random.Generator, size: float, cases: int) -> dict[str, float]:
    x = torch.from_numpy(g.uniform(0, size, (cases, 57)).astype(np.float32))
    x[:, 0], x[:, 1] = 0, size
    truth, slope = _loss_and_slope(x.double(), fused=True)
    fused, fused_slope = _loss_and_slope(x, fused=True)
    naive, naive_slope = _loss_and_slope(x, fused=False)
    finite = naive.isfinite().all(-1)
    return {
        "fused_error": _relative(fused, truth),
        "fused_gradient_error": _relative(fused_slope, slope),
        "naive_error": _relative(naive[finite], truth[finite]),
        "naive_lost": float(1 - finite.double().mean()),
        "naive_gradient_lost": float(1 - naive_slope.isfinite().all(-1).double().mean()),
    }


def _loss_and_slope(x: Tensor, *, fused: bool) -> tuple[Tensor, Tensor]:
    """Return log p of every class, and the gradient of −log p of class 0 in the logits."""
    leaf = x.clone().requires_grad_()
    log_p = torch.log_softmax(leaf, -1) if fused else torch.log(torch.softmax(leaf, -1))
    return log_p.detach(), torch.autograd.grad(-log_p[:, 0].sum(), leaf)[0]


def _relative(a: Tensor, b: Tensor) -> float:
    """Return the largest difference, relative to b where b is larger than 1; 0 if there is nothing."""
    return float(((a - b).abs() / b.abs().clamp(min=1)).max()) if len(a) else 0.0


def _softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(-1, keepdims=True))
    return np.asarray(e / e.sum(-1, keepdims=True))


def _apart(a: np.ndarray, b: np.ndarray) -> float:
    size = np.maximum(np.abs(a), np.abs(b))
    return float((np.abs(a - b) / np.where(size == 0, 1.0, size)).max())
