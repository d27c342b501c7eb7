"""Inputs at the edge of float32: no further than in torch's layers do infinities and NaN spread.

A kernel's rows hold more lanes than units, and 0 · ∞ is NaN: what lies in such a lane must never be summed.
"""

import random

import numpy as np
import pytest
import torch
from kernel_cases import PLAIN, SPARSE, TANH, VARIANTS, error, fused, make, params, run, same_bits
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from memspan.cells import CELLS
from memspan.kernels import unroll
from memspan.kernels.cpu import engine
from tolerances import TOLERANCES

FILL = 9.96920997e36  # netCDF's fill value
UNUSUAL = [1e20, -1e20, FILL, -FILL, np.inf, -np.inf, np.nan, "bytes"]
WIDTHS = [1, 2, 3, 5, 7, 9, 15, 16, 17, 20, 31, 32, 33]  # few are a multiple of a vector's length
LAYERS = {"rnn": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}
EXAMPLES = 60


@pytest.fixture(autouse=True)
def poisoned(monkeypatch):
    """Start every buffer as NaN: what is read before it is written shows."""
    monkeypatch.setattr(engine, "poison", True)


def put(x, value, place):
    """Write an unusual value, bit by bit where it is a NaN that has some."""
    x[place] = torch.nan if value == "bytes" else value
    if value == "bytes":
        x.view(torch.int32)[place] = -1


def kinds(x):
    """Return 0 where a tensor is finite, ±1 where it is infinite, 2 where it is NaN."""
    return torch.where(x.isnan(), 2.0, torch.where(x.isinf(), x.sign(), 0.0))


def alike(got, want):
    """Assert that the same numbers are finite, infinite and NaN, and that the finite ones are equal."""
    assert got.keys() == want.keys()
    for name in want:
        assert torch.equal(kinds(got[name]), kinds(want[name])), name
        near(got[name], want[name], name)


def near(got, want, name):
    """Assert that what is finite in both is equal within float32's rounding of saturated gates."""
    finite = got.isfinite() & want.isfinite()
    off = (got - want)[finite].abs().max() if finite.any() else torch.tensor(0.0)
    assert off <= 1e-4 * max(1.0, float(want[finite].abs().max()) if finite.any() else 0.0), name


def in_torch(variant, p, x, state, lengths):
    """Return outputs, last states and gradients of torch's layer, under the names of ``run``."""
    name, extra = variant
    p = {key: value[0].clone().requires_grad_() for key, value in p.items()}
    x, state = x[0].clone().requires_grad_(), [part.clone().requires_grad_() for part in state]
    layer = LAYERS[name](x.shape[-1], state[0].shape[-1], bias="bias_ih" in p, **extra)
    given = x if lengths is None else pack_padded_sequence(x, lengths[0], enforce_sorted=False)
    hx = tuple(state) if len(state) > 1 else state[0]
    weights = {f"{key}_l0": value for key, value in p.items()}
    out, last = torch.func.functional_call(layer, weights, (given, hx))
    if lengths is not None:
        out = pad_packed_sequence(out, total_length=len(x))[0]
    values = {"outputs": out[None]}
    values |= {f"state {k}": part for k, part in enumerate(last if isinstance(last, tuple) else [last])}
    leaves = {**p, "x": x, **{f"initial {k}": part for k, part in enumerate(state)}}
    back_from(values)
    grads = {f"d {key}": leaf.grad for key, leaf in leaves.items()}
    return {key: value.detach() for key, value in values.items()} | grads


def in_kernel(variant, p, x, state, lengths, chunk):
    """Return the same of the fused kernel, without the axis of replicas where torch has none."""
    name, extra = variant
    p = {key: value.clone().requires_grad_() for key, value in p.items()}
    x, state = x.clone().requires_grad_(), [part.clone().requires_grad_() for part in state]
    cell = CELLS.resolve(name)(x.shape[-1], state[0].shape[-1], biases=2 * ("bias_ih" in p), **extra)
    made = unroll(cell, p, x, tuple(state), lengths=lengths, kernel="cpu", chunk=chunk)
    values = {"outputs": made.outputs} | {f"state {k}": part for k, part in enumerate(made.state)}
    back_from(values)
    leaves = {**{key: value.grad[0] for key, value in p.items()}, "x": x.grad[0]}
    leaves |= {f"initial {k}": part.grad for k, part in enumerate(state)}
    return {key: value.detach() for key, value in values.items()} | {f"d {k}": g for k, g in leaves.items()}


def back_from(values):
    """Take a random weighting of results back."""
    g = torch.Generator().manual_seed(3)
    sum((value * torch.randn(value.shape, generator=g)).sum() for value in values.values()).backward()


def sizes(draw):
    """Return T, B, D, H."""
    widths = ([1, 2, 3, 6], [1, 2, 3, 5, 8, 9, 19], [1, 2, 3, 5, 17], WIDTHS)
    return [draw.choice(options) for options in widths]


@pytest.mark.parametrize("variant", params([v for v in PLAIN if v[0] in LAYERS]))
def test_one_unusual_input_reaches_what_it_reaches_in_torch(variant):
    for example in range(EXAMPLES):
        draw = random.Random(example)
        T, B, D, H = sizes(draw)
        _, p, x, state = make(variant, 1, T, B, D, H, biases=draw.choice([0, 2]), seed=example)
        put(x, draw.choice(UNUSUAL), (0, draw.randrange(T), draw.randrange(B), draw.randrange(D)))
        lengths = torch.tensor([[T] + [draw.randint(1, T) for _ in range(B - 1)]])
        lengths = draw.choice([None, lengths])
        want = in_torch(variant, p, x, state, lengths)
        alike(in_kernel(variant, p, x, state, lengths, draw.choice([None, 1, 2])), want)


@pytest.mark.parametrize("variant", params(VARIANTS))
def test_one_large_input_reaches_what_it_reaches_in_the_reference(variant):
    for example in range(EXAMPLES // 3):
        draw = random.Random(example)
        T, B, D, H = sizes(draw)
        case = make(variant, 2, T, B, D, H, biases=draw.choice([0, 1, 2]), seed=example)
        put(case[2], draw.choice(UNUSUAL[:4]), (0, draw.randrange(T), draw.randrange(B), draw.randrange(D)))
        g = torch.Generator().manual_seed(example)
        options = {"lengths": torch.randint(0, T + 1, (2, B), generator=g)} if draw.random() < 0.5 else {}
        if fused(variant) == "cpu" and draw.random() < 0.5:
            options["resets"] = torch.rand(2, T, B, generator=g) < 0.3
        want = run(case, "reference", **options)
        alike(run(case, fused(variant), chunk=draw.choice([None, 1, 3]), **options), want)


@pytest.mark.parametrize("variant", params(SPARSE))
def test_an_infinite_input_reaches_no_more_where_only_open_units_are_computed(variant):
    for example in range(EXAMPLES // 3):
        draw = random.Random(example)
        T, B, D, H = sizes(draw)
        case = make(variant, 1, T, B, D, H, seed=example)
        put(case[2], draw.choice(UNUSUAL[4:]), (0, draw.randrange(T), draw.randrange(B), draw.randrange(D)))
        want, got = run(case, "reference"), run(case, "sparse")
        for name in want:
            assert (got[name].isfinite() | ~want[name].isfinite()).all(), name


@pytest.mark.parametrize("variant", params(SPARSE))
def test_a_row_past_its_end_changes_nothing(variant):
    cell, p, x, state = make(variant, 1, 9, 3, 2, 20)
    lengths = torch.tensor([[1, 9, 5]])
    clean = run((cell, p, x, state), "sparse", lengths=lengths)
    shut = torch.ones(20, dtype=torch.bool)
    for k, part in enumerate(state):
        shut &= clean[f"state {k}"][0, 0] == part[0, 0]
    assert 0 < shut.sum() < 20  # some units never open in the first row's only step
    put(x, np.nan, (0, 0, 0))
    got = run((cell, p, x, state), "sparse", lengths=lengths)
    for k, part in enumerate(state):
        assert torch.equal(got[f"state {k}"][0, 0, shut], part[0, 0, shut])
        assert torch.equal(got[f"state {k}"][0, 1:], clean[f"state {k}"][0, 1:])
    assert torch.equal(got["d x"][0, :, 1:], clean["d x"][0, :, 1:])
    for name in ("log_period", "shift", "open_logit"):
        assert torch.equal(got[f"d {name}"][0, shut], clean[f"d {name}"][0, shut])


@pytest.mark.parametrize("value", UNUSUAL, ids=str)
@pytest.mark.parametrize("variant", params(VARIANTS))
def test_another_replica_keeps_its_bits(variant, value):
    case = make(variant, 2, 4, 5, 2, 17)
    clean = run(case, fused(variant))
    put(case[2], value, (0, 1, 2, 1))
    got = run(case, fused(variant))
    other = [{name: v[1:] for name, v in result.items()} for result in (got, clean)]
    assert same_bits(*other)


@pytest.mark.parametrize("variant", params(TANH))
def test_a_saturated_unit_is_exactly_at_its_end_and_takes_no_gradient(variant):
    """A derivative of −2⁻²² times an input of 1.7e9, a timestamp nobody scaled, was a gradient of −405."""
    cell, p, x, state = make(variant, 1, 3, 2, 1, 21)
    p["weight_ih"] = torch.where(p["weight_ih"] < 0, -1.0, 1.0)
    got = run((cell, p, x.sign() * 1.7e9, state), "cpu")
    assert got["outputs"].abs().max() <= 1
    assert not got["d weight_ih"].any()
    assert not got["d x"].any()


@pytest.mark.parametrize("shape", [(2, 3, 0), (1, 0, 0), (2, 0, 3)], ids=str)
@pytest.mark.parametrize("variant", params(VARIANTS))
def test_an_empty_batch_has_gradients_too(variant, shape):
    for options in ({}, {"lengths": torch.zeros(shape[0], shape[2], dtype=torch.int64)}, {"chunk": 1}):
        case = make(variant, *shape, 2, 5)
        want = run(case, "reference", torch.float64, **options)
        worst, where = error(run(case, fused(variant), **options), want)
        assert worst <= TOLERANCES["float32"], where
