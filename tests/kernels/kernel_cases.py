"""Random cases for kernel tests, and what a call gives: outputs, states and every gradient."""

import pytest
import torch

from memspan.cells import CELLS
from memspan.cells.time_gate.equations import TimeGate
from memspan.kernels import choose, unroll

PLAIN = [
    (name, extra)
    for name in CELLS
    if not isinstance(CELLS.resolve(name)(1, 1), TimeGate)
    and choose(CELLS.resolve(name)(1, 1)).kernel == "cpu"  # the rest have the reference only
    for extra in ([{"nonlinearity": "tanh"}, {"nonlinearity": "relu"}] if name == "rnn" else [{}])
]
TANH = [(name, extra) for name, extra in PLAIN if extra.get("nonlinearity") != "relu"]
GATED = [(name, {**extra, "leak": 0.01}) for name, extra in TANH]
SPARSE = [(name, {**extra, "leak": 0.0}) for name, extra in TANH]  # without a leak: open units only
DENSE, VARIANTS = PLAIN + GATED, PLAIN + GATED + SPARSE


def fused(variant):
    """Return the kernel that a variant is there to test."""
    return "sparse" if variant in SPARSE else "cpu"


def name_of(variant):
    """Return the name of a variant in a test's id."""
    name, extra = variant
    kind = ["sparse"] if variant in SPARSE else ["gated"] * (variant in GATED)
    return "-".join([*kind, name, *(v for v in extra.values() if isinstance(v, str))])


def _usual(variant):
    """Whether a variant belongs to the short tests: under a gate, cells that differ in what they keep."""
    usual = {"rnn": GATED, "gru": SPARSE, "peephole_lstm": VARIANTS}
    return variant in PLAIN or variant in usual.get(variant[0], [])


def params(variants, *more):
    """Return variants as test parameters, the less usual ones marked slow."""
    marks = {True: (), False: (pytest.mark.slow,)}
    return [pytest.param(v, *more, id=name_of(v), marks=marks[_usual(v)]) for v in variants]


def make(variant, R=1, T=5, B=3, D=2, H=7, biases=2, symbols=False, seed=0):
    """Return cell, parameters, inputs and initial state of a seeded case."""
    name, extra = variant
    g = torch.Generator().manual_seed(seed)
    plain = {key: value for key, value in extra.items() if key != "leak"}
    cell = CELLS.resolve(name)(D, H, biases=biases, **plain)
    if "leak" in extra:
        cell = TimeGate(cell, extra["leak"])
    p = {key: torch.randn(R, *shape, generator=g) / H**0.5 for key, shape in cell.parameter_shapes().items()}
    x = torch.randn(R, T, B, D, generator=g)
    if symbols:
        x = torch.randint(0, D, (R, T, B), generator=g)
    state = tuple(torch.randn(R, B, H, generator=g) / 2 for _ in cell.states)
    if "leak" in extra:  # clocks of a kind that a few steps see opening and closing
        p["log_period"] = 0.7 + 2 * torch.rand(R, H, generator=g)  # 2 … 15 steps
        p["shift"], p["open_logit"] = 9 * torch.rand(R, H, generator=g) - 5, torch.randn(R, H, generator=g)
    return cell, p, x, state


def run(case, kernel, dtype=torch.float32, pack=(0, None), **options):
    """Return name → tensor: outputs, last state, every state, and the gradients of a random weighting.

    pack: (r, R) weighs a replica that runs alone as replica r of a pack of R.
    """
    cell, p, x, state = case

    def leaf(tensor):
        return tensor.to(dtype).clone().requires_grad_() if tensor.dtype.is_floating_point else tensor

    p, x, state = {k: leaf(v) for k, v in p.items()}, leaf(x), tuple(leaf(s) for s in state)
    made = unroll(cell, p, x, state, kernel=kernel, return_states=True, **options)
    assert made.kernel == kernel
    values = {"outputs": made.outputs, **{f"state {k}": s for k, s in enumerate(made.state)}}
    values |= {f"states {name}": s for name, s in made.states.items()}
    g = torch.Generator().manual_seed(99)
    r, R = pack[0], pack[1] or x.shape[0]
    total = 0.0
    for value in values.values():
        weights = torch.randn(R, *value.shape[1:], generator=g)[r : r + value.shape[0]]
        total = total + (value * weights.to(dtype)).sum()
    total.backward()
    out = {name: value.detach() for name, value in values.items()}
    leaves = {**p, "x": x, **{f"initial {k}": s for k, s in enumerate(state)}}
    for name, tensor in leaves.items():
        if tensor.dtype.is_floating_point:
            out[f"d {name}"] = torch.zeros_like(tensor) if tensor.grad is None else tensor.grad
    return out


def error(got, want):
    """Return the largest error over the largest true value, and where; infinite where got is not finite."""
    worst, where = 0.0, ""
    assert got.keys() == want.keys()
    for name in want:
        assert got[name].shape == want[name].shape, name
        if want[name].numel():
            a, b = got[name].double(), want[name].double()
            size = float(b.abs().max()) or 1.0
            here = float((a - b).abs().max()) / size
            if not here <= worst:
                worst, where = here, name
    return worst, where


def same_bits(got, want):
    """Whether every tensor is equal, NaN counting as equal to NaN."""
    return got.keys() == want.keys() and all(
        torch.equal(got[k].nan_to_num(1e30), want[k].nan_to_num(1e30)) for k in want
    )
