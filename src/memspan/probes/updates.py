"""RMSProp and Adam as the report prints them, beside torch's; sizes of steps for made-up gradients.

Equations:
    RMSProp: r_t = α r_{t−1} + (1 − α) g_t²,  w ← w − η g_t / (√r_t + ε)
    Adam:    m_t = β₁ m_{t−1} + (1 − β₁) g_t,  v_t = β₂ v_{t−1} + (1 − β₂) g_t²,
             w ← w − η m̂_t / (√v̂_t + ε);  m̂_t = m_t / (1 − β₁^t), v̂_t = v_t / (1 − β₂^t);
             the report prints 1 − β₁ and 1 − β₂ in their place
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from memspan.streams import stream

ALPHA, BETA_1, BETA_2, EPSILON, RATE = 0.99, 0.9, 0.999, 1e-8, 1e-3
STEPS = 1000
SCALES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0)


def rmsprop(cases: int, seed: int) -> dict[str, object]:
    """Return the numbers behind c09 over random sequences of gradients, a column a case.

    Returns:
        ``update_error``: the printed update against ``torch.optim.RMSprop``, steps relative to their size.
        ``variance_error``: r_t against the variance of the same gradients under the same weights, relative
        to the larger; ``moment_error``: against their uncentred second moment. ``scale``, ``step``: size of
        the update against the gradient's; ``scale_spread``: largest over smallest of those.
    """
    g = stream(seed, "probe rmsprop")
    gradients = g.normal(size=(200, cases)) * 10 ** g.uniform(-4, 2, cases) + g.normal(size=cases)
    ours, r = _rmsprop(gradients)
    theirs = _by_torch(gradients, lambda p: torch.optim.RMSprop(p, lr=RATE, alpha=ALPHA, eps=EPSILON))
    weights = (1 - ALPHA) * ALPHA ** np.arange(len(gradients))[::-1, None]
    mean, moment = (weights * gradients).sum(0), (weights * gradients**2).sum(0)
    steps = [float(np.abs(_rmsprop(np.full((STEPS, 1), scale))[0][-1, 0])) for scale in SCALES]
    return {
        "update_error": _apart(ours, theirs),
        "variance_error": _apart(r, moment - mean**2),
        "moment_error": _apart(r, moment),
        "scale": list(SCALES),
        "step": steps,
        "scale_spread": max(steps) / min(steps),
    }


def adam(cases: int, seed: int) -> dict[str, object]:
    """Return the numbers behind c10 over random sequences of gradients, a column a case.

    Returns:
        ``printed_error``: the printed update against ``torch.optim.Adam``; ``corrected_error``: that with
        1 − β^t. ``t``, ``ratio``: printed step over Adam's for a constant gradient, and of that
        ``first_ratio, peak_ratio, peak_at, last_ratio``. ``constant, alternating, rare``: mean size of
        Adam's step over η for such gradients (rare: one step in 100). ``printed_loss, adam_loss``: loss
        after ``STEPS``/2 updates of a badly scaled quadratic, relative to its start.
    """
    g = stream(seed, "probe adam")
    gradients = g.normal(size=(200, cases)) * 10 ** g.uniform(-3, 1, cases)
    theirs = _by_torch(gradients, lambda p: torch.optim.Adam(p, lr=RATE, betas=(BETA_1, BETA_2), eps=EPSILON))
    constant = np.ones((10 * STEPS, 1))
    ratio = (_adam(constant, printed=True) / _adam(constant, printed=False))[:, 0]
    t = np.unique(np.geomspace(1, len(ratio), 60).astype(int))
    return {
        "printed_error": _apart(_adam(gradients, printed=True), theirs),
        "corrected_error": _apart(_adam(gradients, printed=False), theirs),
        "t": t.tolist(),
        "ratio": [float(f"{ratio[i - 1]:.5g}") for i in t],
        "first_ratio": float(ratio[0]),
        "peak_ratio": float(ratio.max()),
        "peak_at": int(ratio.argmax()) + 1,
        "last_ratio": float(ratio[-1]),
        **_kinds(),
        "printed_loss": _quadratic(printed=True),
        "adam_loss": _quadratic(printed=False),
    }


def _rmsprop(gradients: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return every step as printed, and the last r."""
    r, steps = np.zeros(gradients.shape[1]), []
    for g in gradients:
        r = ALPHA * r + (1 - ALPHA) * g**2
        steps.append(-RATE * g / (np.sqrt(r) + EPSILON))
    return np.array(steps), r


class _Adam:
    """Adam's moments for one vector of weights."""

    def __init__(self, size: int, *, printed: bool) -> None:
        self.m, self.v, self.t, self.printed = np.zeros(size), np.zeros(size), 0, printed

    def step(self, g: np.ndarray) -> np.ndarray:
        self.t += 1
        self.m, self.v = BETA_1 * self.m + (1 - BETA_1) * g, BETA_2 * self.v + (1 - BETA_2) * g**2
        power = 1 if self.printed else self.t
        m, v = self.m / (1 - BETA_1**power), self.v / (1 - BETA_2**power)
        return -RATE * m / (np.sqrt(v) + EPSILON)


def _adam(gradients: np.ndarray, *, printed: bool) -> np.ndarray:
    rule = _Adam(gradients.shape[1], printed=printed)
    return np.array([rule.step(g) for g in gradients])


def _by_torch(gradients: np.ndarray, rule: Callable[..., torch.optim.Optimizer]) -> np.ndarray:
    w = torch.zeros(gradients.shape[1], dtype=torch.float64, requires_grad=True)
    optimizer, steps = rule([w]), []
    for g in gradients:
        before = w.detach().clone()
        w.grad = torch.from_numpy(g.copy())
        optimizer.step()
        steps.append((w.detach() - before).numpy())
    return np.array(steps)


def _kinds() -> dict[str, float]:
    t = np.arange(STEPS)
    kinds = {"constant": np.ones(STEPS), "alternating": (-1.0) ** t, "rare": (t % 100 == 0).astype(float)}
    return {name: float(np.abs(_adam(g[:, None], printed=False)).mean() / RATE) for name, g in kinds.items()}


def _quadratic(*, printed: bool) -> float:
    """Minimise ½ Σ λ w² from w = 1, λ from 0.01 to 100; return the loss at the end over that at the start."""
    curvature = np.geomspace(0.01, 100, 20)
    rule, w = _Adam(20, printed=printed), np.ones(20)
    for _ in range(STEPS // 2):
        w = w + rule.step(curvature * w)
    return float((curvature * w**2).sum() / curvature.sum())


def _apart(a: np.ndarray, b: np.ndarray) -> float:
    """Return the largest difference, each relative to the larger of the two numbers."""
    size = np.maximum(np.abs(a), np.abs(b))
    return float((np.abs(a - b) / np.where(size < 1e-12, 1.0, size)).max())
