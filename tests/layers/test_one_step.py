"""One-step cells are torch.nn's, and a loop over them is the layer."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from layer_cases import GRADIENT_ROOM, NAMES, close, parts, twins

import memspan


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    name=st.sampled_from(NAMES), B=st.sampled_from([None, 0, 1, 4, 5]), D=st.integers(1, 5),
    H=st.sampled_from([1, 3, 4, 17]), bias=st.booleans(), given_state=st.booleans(),
    dtype=st.sampled_from([torch.float32, torch.float64]), relu=st.booleans(),
)  # fmt: skip
def test_equal_torch(name, B, D, H, bias, given_state, dtype, relu):
    options = {"nonlinearity": "relu"} if relu and name == "RNN" else {}
    ours, theirs = twins(f"{name}Cell", D, H, bias=bias, dtype=dtype, **options)
    lead = () if B is None else (B,)
    x = torch.randn(*lead, D, dtype=dtype, requires_grad=True)
    h = torch.randn(*lead, H, dtype=dtype)
    hx = None if not given_state else (h, torch.randn_like(h)) if name == "LSTM" else h
    made = [parts(cell(x, hx)) for cell in (ours, theirs)]
    for mine, other in zip(*made, strict=True):
        close(mine, other)
    wrt = [[x, *cell.parameters()] for cell in (ours, theirs)]
    found = [
        torch.autograd.grad(sum(value.square().sum() for value in m), w)
        for m, w in zip(made, wrt, strict=True)
    ]
    for mine, other in zip(*found, strict=True):
        close(mine, other, GRADIENT_ROOM[dtype])


@pytest.mark.parametrize("name", NAMES)
def test_one_seed_gives_the_weights_of_torch(name):
    torch.manual_seed(0)
    theirs = getattr(torch.nn, f"{name}Cell")(3, 5).state_dict()
    torch.manual_seed(0)
    ours = getattr(memspan, f"{name}Cell")(3, 5).state_dict()
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


@pytest.mark.parametrize("name", NAMES)
def test_a_loop_of_steps_is_the_layer(name):
    layer, step, x = getattr(memspan, name)(3, 5), getattr(memspan, f"{name}Cell")(3, 5), torch.randn(7, 4, 3)
    step.load_state_dict({key.removesuffix("_l0"): value for key, value in layer.state_dict().items()})
    state, outputs = None, []
    for now in x:
        state = step(now, state)
        outputs.append(parts(state)[0])
    close(torch.stack(outputs), layer(x)[0])


def test_forget_bias_and_init():
    cell = memspan.LSTMCell(3, 5, init="xavier_normal", forget_bias=1.0)
    assert torch.equal((cell.bias_ih + cell.bias_hh)[5:10], torch.ones(5))
