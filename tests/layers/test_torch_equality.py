"""Outputs, states and gradients are torch.nn's, for random sizes, layers, directions and lengths."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from layer_cases import GRADIENT_ROOM, NAMES, close, parts, shapes, states_for, twins
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import memspan

DTYPES = st.sampled_from([torch.float32, torch.float64])
QUICK = settings(max_examples=60, deadline=None, derandomize=True)
LONG = settings(max_examples=2000, deadline=None, derandomize=True)


def gradients(layer, x, hx, output, state):
    """Gradients of a random-weighted sum of everything a call returns."""
    torch.manual_seed(7)
    total = sum(
        (value * torch.randn(value.shape, dtype=value.dtype)).sum() for value in (output, *parts(state))
    )
    return torch.autograd.grad(total, [x, *parts(hx), *layer.parameters()])


def check_dense(case, dtype, given_state, seed):
    name, size, options = case
    ours, theirs = twins(name, size["D"], size["H"], dtype=dtype, seed=seed, **options)
    axes = (size["B"], size["T"]) if options["batch_first"] else (size["T"], size["B"])
    x = torch.randn(*axes, size["D"], dtype=dtype, requires_grad=True)
    zero = [torch.zeros_like(part) for part in parts(states_for(theirs, (size["B"],)))]
    hx = states_for(theirs, (size["B"],)) if given_state else tuple(zero) if len(zero) > 1 else zero[0]
    for part in parts(hx):
        part.requires_grad_()
    results = [layer(x, hx) for layer in (ours, theirs)]
    for mine, other in zip(*[(output, *parts(state)) for output, state in results], strict=True):
        close(mine, other)
    pairs = zip(
        *[gradients(layer, x, hx, *r) for layer, r in zip((ours, theirs), results, strict=True)], strict=True
    )
    for mine, other in pairs:
        close(mine, other, GRADIENT_ROOM[dtype])


def check_ragged(case, dtype, data):
    """Our lengths, our packed input and torch's packed input agree; so do all their gradients."""
    name, size, options = case
    ours, theirs = twins(name, size["D"], size["H"], dtype=dtype, **options)
    lengths = data.draw(st.lists(st.integers(1, size["T"]), min_size=size["B"], max_size=size["B"]))
    first = options["batch_first"]
    axes = (size["B"], size["T"]) if first else (size["T"], size["B"])
    x = torch.randn(*axes, size["D"], dtype=dtype, requires_grad=True)
    hx = states_for(theirs, (size["B"],))
    for part in parts(hx):
        part.requires_grad_()

    def through_packed(layer):
        packed = pack_padded_sequence(x, torch.tensor(lengths), first, enforce_sorted=False)
        output, state = layer(packed, hx)
        assert torch.equal(output.unsorted_indices, packed.unsorted_indices)
        return pad_packed_sequence(output, first, total_length=size["T"])[0], state

    wanted, state = through_packed(theirs)
    expected = gradients(theirs, x, hx, wanted, state)
    for got in (ours(x, hx, lengths=lengths), through_packed(ours)):
        for a, b in zip((got[0], *parts(got[1])), (wanted, *parts(state)), strict=True):
            close(a, b)
        for a, b in zip(gradients(ours, x, hx, *got), expected, strict=True):
            close(a, b, GRADIENT_ROOM[dtype])


@QUICK
@given(shapes(), DTYPES, st.booleans(), st.integers(0, 9))
def test_dense(case, dtype, given_state, seed):
    check_dense(case, dtype, given_state, seed)


@QUICK
@given(shapes(), DTYPES, st.data())
def test_ragged(case, dtype, data):
    check_ragged(case, dtype, data)


@pytest.mark.slow
@LONG
@given(shapes(), DTYPES, st.booleans(), st.integers(0, 9))
def test_dense_long(case, dtype, given_state, seed):
    check_dense(case, dtype, given_state, seed)


@pytest.mark.slow
@LONG
@given(shapes(), DTYPES, st.data())
def test_ragged_long(case, dtype, data):
    check_ragged(case, dtype, data)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True}, {"bias": False}])
def test_one_seed_gives_the_weights_of_torch(name, options):
    torch.manual_seed(0)
    theirs = getattr(torch.nn, name)(3, 5, **options)
    torch.manual_seed(0)
    ours = getattr(memspan, name)(3, 5, **options)
    mine, other = ours.state_dict(), theirs.state_dict()
    assert list(mine) == list(other)
    assert all(torch.equal(mine[key], other[key]) for key in other)
