"""Is it the elements of W_hh that decide whether gradients vanish, or the product of Jacobians?

Equations:
    J_t = ∂h_t/∂h_{t−1} = diag(1 − h_t²) W_hh,  ∂h_T/∂h_t = J_T … J_{t+1},
    ‖∂h_T/∂h_t‖₂ ≤ Π ‖J_k‖₂,  and its growth a step tends to the spectral radius of W_hh where h stays near 0.
"""

from __future__ import annotations

import math

import numpy as np

from memspan.streams import stream

UNITS, STEPS, INPUT = 32, 40, 1e-20
RADII = (0.5, 0.9, 1.0, 1.1, 1.5)


def jacobians(cases: int, seed: int) -> dict[str, object]:
    """Return the numbers behind c03, over pairs of matrices whose elements have the same sizes.

    A pair is a Gaussian matrix of spectral radius ½ and the matrix of its absolute values: element by element
    equally large, all below 1.

    Returns:
        ``cases``; ``alike``: pairs in which ‖∂h_T/∂h_0‖ is below 1 for both matrices, or above 1 for both;
        ``pair_shrinks, pair_grows``: medians of the two norms; ``largest_element``: of any matrix;
        ``radius_correlation`` and ``element_correlation``: Spearman's, of the growth a step with the spectral
        radius and with the largest element, over random matrices of both kinds; ``over_bound``: the largest
        norm over its bound. For the figure ``lag``, ``radius``, and ``norm`` and ``bound``, a list a radius.
    """
    pairs = [_pair(seed, case) for case in range(max(2, cases // 10))]
    ends = [[_norms(w, seed, k)[0][-1] for w in pair] for k, pair in enumerate(pairs)]
    alike = sum((small < 1) == (large < 1) for small, large in ends)
    return {
        "cases": len(pairs),
        "alike": int(alike),
        "pair_shrinks": float(np.median([small for small, _ in ends])),
        "pair_grows": float(np.median([large for _, large in ends])),
        "largest_element": float(max(np.abs(pair).max() for pair in pairs)),
        **_correlations(seed, len(pairs)),
        **_curves(seed),
    }


def _gaussian(g: np.random.Generator, radius: float) -> np.ndarray:
    w = g.normal(size=(UNITS, UNITS))
    return w * radius / np.abs(np.linalg.eigvals(w)).max()


def _pair(seed: int, case: int) -> tuple[np.ndarray, np.ndarray]:
    w = _gaussian(stream(seed, "probe jacobians pair", case), 0.5)
    return w, np.abs(w)


def _norms(w: np.ndarray, seed: int, case: int) -> tuple[np.ndarray, np.ndarray]:
    """Return ‖∂h_T/∂h_{T−k}‖₂ and its bound for k = 0 … T, on an input so faint that h stays near 0."""
    h, jacobians = np.zeros(UNITS), []
    for x in stream(seed, "probe jacobians input", case).normal(size=(STEPS, UNITS)) * INPUT:
        h = np.tanh(w @ h + x)
        jacobians.append((1 - h**2)[:, None] * w)
    product, norms, bounds = np.eye(UNITS), [1.0], [1.0]
    for jacobian in reversed(jacobians):
        product = product @ jacobian
        norms.append(float(np.linalg.norm(product, 2)))
        bounds.append(bounds[-1] * float(np.linalg.norm(jacobian, 2)))
    return np.array(norms), np.array(bounds)


def _correlations(seed: int, cases: int) -> dict[str, float]:
    """Rank growth against spectral radius and largest element, over radii ¼ … 2 and two kinds of matrix."""
    rows, excess = [], 0.0
    for case in range(cases):
        g = stream(seed, "probe jacobians ranks", case)
        w = _gaussian(g, math.exp(g.uniform(math.log(0.25), math.log(2.0))))
        w = w if case % 2 else np.abs(w) / 4
        norms, bounds = _norms(w, seed, case)
        excess = max(excess, float((norms / bounds).max()))
        rows.append((norms[-1], np.abs(np.linalg.eigvals(w)).max(), np.abs(w).max()))
    growth, radius, element = (np.argsort(np.argsort(column)) for column in zip(*rows, strict=True))
    return {
        "radius_correlation": float(np.corrcoef(growth, radius)[0, 1]),
        "element_correlation": float(np.corrcoef(growth, element)[0, 1]),
        "over_bound": excess,
    }


def _curves(seed: int) -> dict[str, list[object]]:
    drawn = [
        _norms(_gaussian(stream(seed, "probe jacobians radius", 0), radius), seed, 0) for radius in RADII
    ]
    return {
        "lag": list(range(STEPS + 1)),
        "radius": list(RADII),
        "norm": [_short(norms) for norms, _ in drawn],
        "bound": [_short(bounds) for _, bounds in drawn],
    }


def _short(values: np.ndarray) -> list[float]:
    return [float(f"{value:.4g}") for value in values]
