"""Back-propagation through time of the vanilla RNN, written out, beside autograd and finite differences.

Equations:
    z_t = W_xh x_t + W_hh h_{t−1},  h_t = tanh z_t,  p = W_ph h_T,  L = −log softmax(p)_y

    dL/dW_ph = (dL/dp) h_Tᵀ                        the current step only
    δ_T = W_phᵀ dL/dp,  δ_{t−1} = W_hhᵀ ((1 − h_t²) ⊙ δ_t)
    dL/dW_hh = Σ_t ((1 − h_t²) ⊙ δ_t) h_{t−1}ᵀ     every step

    printed: ∂h_i^t/∂W_ij = (1 − (h_i^t)²) (h_j^{t−1} + W_ij ∂h_j^{t−1}/∂W_ij),
             dL/dW_ij = (dL/dh_i^T) ∂h_i^T/∂W_ij
    exact:   ∂h_k^t/∂W_ij = (1 − (h_k^t)²) (δ_ki h_j^{t−1} + Σ_m W_km ∂h_m^{t−1}/∂W_ij),
             dL/dW_ij = Σ_k (dL/dh_k^T) ∂h_k^T/∂W_ij

The printed form keeps the term m = j of one sum and k = i of the other, and takes ∂h_j for ∂h_i in between:
with one hidden unit there is no other term, and it is exact.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from memspan.streams import stream

WIDTHS = (1, 2, 3, 4, 6, 8, 16, 32, 64)
STEPS, CLASSES, STEP_SIZE = 10, 10, 1e-6


@dataclass(frozen=True)
class Network:
    """A vanilla RNN of one sequence, float64, in the report's names.

    Shapes:
        w_xh (n,), w_hh (n, n), w_ph (10, n), x (T,), y one class.
    """

    w_xh: Tensor
    w_hh: Tensor
    w_ph: Tensor
    x: Tensor
    y: Tensor

    def states(self) -> list[Tensor]:
        """Return h_0 = 0, h_1 … h_T."""
        h = [torch.zeros(len(self.w_hh), dtype=torch.float64)]
        for x in self.x:
            h.append(torch.tanh(self.w_xh * x + self.w_hh @ h[-1]))
        return h

    def loss(self) -> Tensor:
        """Return L."""
        return functional.cross_entropy(self.w_ph @ self.states()[-1], self.y)


def bptt(cases: int, seed: int) -> dict[str, object]:
    """Return the numbers behind c01 and c02 over random networks of each width in ``WIDTHS``.

    Returns:
        ``read_out_error``: dL/dW_ph by outer product against autograd. ``exact_error``: dL/dW_hh as derived
        here against autograd; ``difference_error``: autograd against central differences. ``printed_error``:
        the report's recursion against autograd, its largest; ``one_unit_error`` the same with one unit;
        ``width`` and ``printed_by_width``, its median for each width. Every error is the largest difference
        of two matrices, relative to the largest entry of both.
    """
    each = math.ceil(cases / len(WIDTHS))
    found = {n: [_errors(_network(seed, n, case)) for case in range(each)] for n in WIDTHS}
    every = [errors for group in found.values() for errors in group]
    names = ("read_out", "exact", "difference", "printed")
    numbers: dict[str, object] = {f"{name}_error": max(e[name] for e in every) for name in names}
    numbers["one_unit_error"] = max(e["printed"] for e in found[1])
    numbers["width"] = list(WIDTHS)
    numbers["printed_by_width"] = [float(np.median([e["printed"] for e in found[n]])) for n in WIDTHS]
    return numbers


def _network(seed: int, n: int, case: int) -> Network:
    g = stream(seed, f"probe bptt n={n}", case)
    w_xh, w_hh, w_ph = g.normal(size=n) / 5, g.normal(size=(n, n)) / math.sqrt(n), g.normal(size=(CLASSES, n))
    x, y = g.integers(0, 10, STEPS).astype(float), g.integers(0, CLASSES)
    tensor = torch.from_numpy
    return Network(tensor(w_xh), tensor(w_hh), tensor(w_ph), tensor(x), torch.tensor(int(y)))


def _errors(net: Network) -> dict[str, float]:
    by_autograd = autograd_gradients(net)
    by_hand = exact_gradients(net)
    return {
        "read_out": _apart(by_hand[0], by_autograd[0]),
        "exact": _apart(by_hand[1], by_autograd[1]),
        "difference": _difference(net, by_autograd[1]),
        "printed": _apart(printed_gradient(net), by_autograd[1]),
    }


def autograd_gradients(net: Network) -> tuple[Tensor, Tensor]:
    """Return dL/dW_ph and dL/dW_hh by autograd."""
    leaves = [w.clone().requires_grad_() for w in (net.w_ph, net.w_hh)]
    loss = Network(net.w_xh, leaves[1], leaves[0], net.x, net.y).loss()
    ph, hh = torch.autograd.grad(loss, leaves)
    return ph, hh


def exact_gradients(net: Network) -> tuple[Tensor, Tensor]:
    """Return dL/dW_ph and dL/dW_hh by the equations above."""
    h = net.states()
    dp = _output_gradient(net, h[-1])
    delta, total = net.w_ph.T @ dp, torch.zeros_like(net.w_hh)
    for t in range(len(net.x), 0, -1):
        dz = (1 - h[t] ** 2) * delta
        total += torch.outer(dz, h[t - 1])
        delta = net.w_hh.T @ dz
    return torch.outer(dp, h[-1]), total


def printed_gradient(net: Network) -> Tensor:
    """Return dL/dW_hh by the recursion that the report prints, ∂h_j^0/∂W_ij = 0.

    The recursion needs ∂h_j/∂W_ij where it defines ∂h_i/∂W_ij; row i is given what it is defined as.
    """
    h = net.states()
    inner = torch.zeros_like(net.w_hh)
    for t in range(1, len(h)):
        inner = (1 - h[t] ** 2).unsqueeze(1) * (h[t - 1] + net.w_hh * inner)
    return (net.w_ph.T @ _output_gradient(net, h[-1])).unsqueeze(1) * inner


def _output_gradient(net: Network, h: Tensor) -> Tensor:
    """Return dL/dp = softmax(p) − one_hot(y)."""
    p = torch.softmax(net.w_ph @ h, 0)
    return p - functional.one_hot(net.y, CLASSES)


def _difference(net: Network, gradient: Tensor) -> float:
    """Compare the slope along one direction, the gradient's own, with a central difference."""
    size = gradient.norm()
    if not size:
        return 0.0
    along = gradient / size
    sides = [
        Network(net.w_xh, net.w_hh + sign * STEP_SIZE * along, net.w_ph, net.x, net.y).loss()
        for sign in (1, -1)
    ]
    return float(abs((sides[0] - sides[1]) / (2 * STEP_SIZE) - size) / max(size, 1e-3))


def _apart(a: Tensor, b: Tensor) -> float:
    size = float(torch.maximum(a.abs().max(), b.abs().max()))
    return float((a - b).abs().max()) / size if size else 0.0
