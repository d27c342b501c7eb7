"""What the layer tests share: tolerances with their reasons, layers with equal weights, random calls."""

import torch
from hypothesis import strategies as st

import memspan

NAMES = ("RNN", "GRU", "LSTM")

# float64: both sides compute the same sums in another order; a few thousand terms cost a few hundred ulp.
# float32: the fused kernel's tanh and sigmoid are within a few ulp; T ≤ 12 steps amplify a little.
# gradients sum over T·B steps, so they get ten times the room of outputs.
TOLERANCE = {torch.float64: 1e-10, torch.float32: 2e-6}
GRADIENT_ROOM = {torch.float64: 1, torch.float32: 10}


def close(ours, theirs, room=1):
    """Assert equality within the tolerance of the dtype, relative to the largest value."""
    assert ours.shape == theirs.shape, (ours.shape, theirs.shape)
    assert ours.dtype == theirs.dtype
    if ours.numel():
        scale = max(1.0, theirs.abs().max().item())
        assert (ours - theirs).abs().max().item() <= room * scale * TOLERANCE[theirs.dtype]


def parts(state):
    return state if isinstance(state, tuple) else (state,)


def twins(name, *arguments, seed=0, **options):
    """Return our layer and torch's with the same weights."""
    torch.manual_seed(seed)
    theirs = getattr(torch.nn, name)(*arguments, **options)
    ours = getattr(memspan, name)(*arguments, **options)
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def states_for(layer, batch, dtype=None):
    """Return a random initial state for a torch or memspan layer."""
    directions = 2 if layer.bidirectional else 1
    shape = (layer.num_layers * directions, *batch, layer.hidden_size)
    dtype = dtype or next(layer.parameters()).dtype
    h = torch.randn(shape, dtype=dtype)
    return (h, torch.randn(shape, dtype=dtype)) if "LSTM" in type(layer).__name__ else h


@st.composite
def shapes(draw):
    """Return a layer's name, sizes and options; B = H is likely, so that a broadcast would show."""
    hidden = draw(st.sampled_from([1, 3, 4, 17]))
    options = {
        "num_layers": draw(st.integers(1, 3)),
        "bias": draw(st.booleans()),
        "batch_first": draw(st.booleans()),
        "bidirectional": draw(st.booleans()),
    }
    name = draw(st.sampled_from(NAMES))
    if name == "RNN":
        options["nonlinearity"] = draw(st.sampled_from(["tanh", "relu"]))
    sizes = {"D": draw(st.integers(1, 5)), "H": hidden, "T": draw(st.integers(1, 12))}
    sizes["B"] = draw(st.sampled_from([1, 2, hidden, 5]))
    return name, sizes, options
