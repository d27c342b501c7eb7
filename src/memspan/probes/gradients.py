"""How far gradients reach back: through states, through Jacobians, and into the recurrent weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor
from torch.func import jacrev

from memspan.config import RunConfig
from memspan.errors import ArgumentError
from memspan.probes.specimen import Sequences, Specimen

SHOWN = 25
"""Points kept of a curve over time."""


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch work on one thread: these matrices are small, and more threads wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def state_gradients(specimen: Specimen, shown: Sequences) -> dict[str, np.ndarray]:
    """Return state's name → ‖∂L/∂s_t‖, mean over the batch, for t = 1 … T.

    A state's derivative is the whole one: ∂L/∂c_t includes the way through h_t.
    """
    states = specimen.steps(shown)
    parts = [part for state in states[1:] for part in state]
    found = torch.autograd.grad(specimen.loss(states[-1][0], shown), parts, allow_unused=True)
    norms = [0.0 if g is None else float(g.norm(dim=-1).mean()) for g in found]
    width = len(specimen.cell.states)
    return {name: np.array(norms[k::width]) for k, name in enumerate(specimen.cell.states)}


def contributions(specimen: Specimen, shown: Sequences) -> np.ndarray:
    """Return the norm of each step's share of dL/dW_hh, t = 1 … T; the shares add up to the gradient."""
    if "weight_hh" not in specimen.weights:
        there = ", ".join(specimen.weights)
        raise ArgumentError(
            f"{specimen.cell!r} has no 'weight_hh' whose gradient could be shared out: {there}"
        )
    T = len(shown.inputs)
    copies = [specimen.weights["weight_hh"].clone().requires_grad_() for _ in range(T)]
    weights = [{**specimen.weights, "weight_hh": w} for w in copies]
    loss = specimen.loss(specimen.steps(shown, weights)[-1][0], shown) / shown.inputs.shape[1]
    return np.array([float(g.norm()) for g in torch.autograd.grad(loss, copies)])


def jacobian_products(specimen: Specimen, shown: Sequences, at: np.ndarray) -> dict[str, np.ndarray]:
    """Return what the first sequence's Jacobian products ∂s_T/∂s_t do to a small change, for t in ``at``.

    The state is all of a cell's states in one vector.

    Returns:
        ``largest`` and ``median`` singular value, and ``bound``, the product of the steps' largest ones.
    """
    one = Sequences(shown.inputs[:, :1], _first(shown.times), None)
    with torch.no_grad():
        states = [torch.cat(state, -1)[0].detach() for state in specimen.steps(one)]
    T, product, bound = len(one.inputs), torch.eye(len(states[0]), dtype=torch.float64), 1.0
    found: dict[int, tuple[float, float, float]] = {}
    for t in range(T, -1, -1):
        if t in at:
            values = torch.linalg.svdvals(product)
            found[t] = float(values[0]), float(values.median()), bound
        if t > 0:
            jacobian = _step_jacobian(specimen, one, t - 1, states[t - 1])
            product, bound = product @ jacobian, bound * float(torch.linalg.matrix_norm(jacobian, 2))
    columns = np.array([found[int(t)] for t in at]).T
    return dict(zip(("largest", "median", "bound"), columns, strict=True))


def _first(times: Tensor | None) -> Tensor | None:
    return times if times is None or times.dim() == 1 else times[:, :1]


def _step_jacobian(specimen: Specimen, one: Sequences, t: int, state: Tensor) -> Tensor:
    time = None if one.times is None else one.times[t]

    def step(flat: Tensor) -> Tensor:
        parts = tuple(part.unsqueeze(0) for part in flat.chunk(len(specimen.cell.states)))
        return torch.cat(specimen.cell.step(specimen.weights, one.inputs[t], parts, time), -1)[0]

    return jacrev(step)(state)


def measure(specimen: Specimen, shown: Sequences) -> dict[str, list[float]]:
    """Return all three over at most ``SHOWN`` steps: ``step``, states by name, ``contribution``, products."""
    T = len(shown.inputs)
    at = np.unique(np.linspace(1, T, min(T, SHOWN)).round().astype(int))
    curves = {name: norms[at - 1] for name, norms in state_gradients(specimen, shown).items()}
    curves |= {"contribution": contributions(specimen, shown)[at - 1]}
    curves |= jacobian_products(specimen, shown, at)
    return {"step": at.tolist()} | {name: _short(values) for name, values in curves.items()}


def of_run(run: RunConfig, state: bytes) -> dict[str, object]:
    """Return ``measure`` before and after training, and the numbers behind c17 and c35.

    Returns:
        ``step``; ``before_…`` and ``after_…`` for every curve; ``…_passed`` for each state: how much larger
        its gradient is at the first step than at the last, as a power of ten; ``…_reach``: the share of steps
        that add to dL/dW_hh more than float32 can tell from nothing beside the largest share.
    """
    found: dict[str, object] = {}
    for when, specimen in {"before": Specimen.fresh(run), "after": Specimen.trained(run, state)}.items():
        with one_thread():
            curves = measure(specimen, specimen.sequences(batch=32, seed=run.seed))
        found["step"] = curves.pop("step")
        found |= {f"{when}_{name}": values for name, values in curves.items()}
        found |= {f"{when}_{s}_passed": _passed(curves[s]) for s in specimen.cell.states}
        found[f"{when}_reach"] = _reach(curves["contribution"])
    return found


def _passed(norms: list[float]) -> float:
    """Return log10 of first over last; −300 where nothing is left."""
    smallest = 1e-300
    return round(float(np.log10(max(norms[0], smallest) / max(norms[-1], smallest))), 4)


def _reach(shares: list[float]) -> float:
    """Return the share of the steps after the first, before which the state is zero, that float32 sees."""
    later = np.array(shares[1:] or shares)
    return float(np.mean(later > 2.0**-24 * later.max()))


def _short(values: np.ndarray) -> list[float]:
    return [float(f"{value:.4g}") for value in values]
