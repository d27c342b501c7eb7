"""What ``unroll`` refuses, chooses and says."""

import pytest
import torch
from kernel_cases import fused, make, name_of

from memspan.cells.lstm.equations import LSTM
from memspan.errors import ArgumentError, KernelRefusal, ShapeError
from memspan.kernels import choose, unroll

CASE = ("lstm", {})


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"x": torch.zeros(2, 3, 2)}, r"x has shape \(2, 3, 2\)"),
        ({"x": torch.zeros(1, 3, 2, 5)}, r"expected \(1, 3, 2, 4\)"),
        ({"x": torch.zeros(1, 3, 2, 4).double()}, "give both the same dtype"),
        ({"state": (torch.zeros(1, 2, 6),)}, "state has 1 parts"),
        ({"state": (torch.zeros(1, 2, 6), torch.zeros(1, 1, 6))}, "state c has shape"),
        ({"lengths": torch.tensor([3, 3])}, "lengths has shape"),
        ({"lengths": torch.tensor([[3, 4]])}, "expected 0 to T = 3"),
        ({"lengths": torch.tensor([[-1, 3]])}, "expected 0 to T = 3"),
        ({"resets": torch.zeros(1, 2, 3).bool()}, "resets has shape"),
        ({"resets": torch.zeros(1, 3, 2)}, "expected bool"),
        ({"times": torch.zeros(2)}, "times has shape"),
        ({"x": torch.full((1, 3, 2), 4)}, "expected 0 to 3"),
        ({"x": torch.full((1, 3, 2), -1)}, "expected 0 to 3"),
    ],
)
@pytest.mark.parametrize("kernel", ["reference", "cpu"])
def test_a_tensor_that_does_not_fit_is_refused(change, match, kernel):
    cell, p, x, state = make(CASE, 1, 3, 2, 4, 6)
    given = {"x": x, "state": state, **change}
    with pytest.raises(ShapeError, match=match):
        unroll(cell, p, given.pop("x"), given.pop("state"), kernel=kernel, **given)


def test_parameters_must_be_the_cells():
    cell, p, x, _ = make(CASE, 1, 3, 2, 4, 6)
    with pytest.raises(ShapeError, match="weight_hh has shape"):
        unroll(cell, p | {"weight_hh": p["weight_hh"][:, 1:]}, x)
    del p["bias_hh"]
    with pytest.raises(ShapeError, match="bias_hh"):
        unroll(cell, p, x)


def test_symbols_past_the_end_are_not_looked_at():
    cell, p, _, _ = make(CASE, 1, 3, 2, 4, 6)
    x = torch.tensor([[[1, 2], [3, -9], [99, 0]]])
    lengths = torch.tensor([[2, 1]])
    a = unroll(cell, p, x, lengths=lengths, kernel="cpu").outputs
    b = unroll(cell, p, x, lengths=lengths, kernel="reference").outputs
    assert torch.allclose(a, b, atol=1e-6)


class Other(LSTM):
    """A cell the registry does not know."""


@pytest.mark.parametrize(
    ("cell", "given", "reason"),
    [
        (LSTM(2, 3), {"dtype": torch.float64}, "float64"),
        (LSTM(2, 3), {"device": "meta"}, "meta"),
        (Other(2, 3), {}, "not a cell of the registry"),
        (LSTM(2, 3), {"return_gates": True}, "gates"),
    ],
)
def test_what_the_cpu_kernel_cannot_serve_is_said(cell, given, reason):
    choice = choose(cell, **given)
    assert choice.kernel == "reference"
    assert reason in choice.reason
    with pytest.raises(KernelRefusal, match=reason):
        choose(cell, kernel="cpu", **given)


def test_choices():
    cell = LSTM(2, 3)
    assert choose(cell).kernel == "cpu"
    assert choose(cell, kernel="reference") == ("reference", "asked for")
    with pytest.raises(ArgumentError, match="kernel='fast'"):
        choose(cell, kernel="fast")


def test_options_are_checked():
    cell, p, x, _ = make(CASE)
    with pytest.raises(ArgumentError, match="outputs='first'"):
        unroll(cell, p, x, outputs="first")
    with pytest.raises(ArgumentError, match="chunk=-2"):
        unroll(cell, p, x, chunk=-2)


@pytest.mark.parametrize("kernel", ["reference", "cpu"])
def test_shapes_of_empty_sequences_and_batches(kernel):
    for T, B in ((0, 3), (4, 0), (0, 0)):
        cell, p, x, state = make(CASE, 2, T, B, 2, 5)
        state = tuple(part.requires_grad_() for part in state)
        made = unroll(cell, p, x, state, kernel=kernel, return_states=True)
        assert made.outputs.shape == made.states["c"].shape == (2, T, B, 5)
        assert all(torch.equal(a, b) for a, b in zip(made.state, state, strict=True))
        (made.outputs.sum() + made.state[0].sum()).backward()


def test_gates_are_returned_by_the_reference():
    cell, p, x, state = make(CASE, 2, 3, 4, 2, 5)
    made = unroll(cell, p, x, state, return_gates=True, lengths=torch.full((2, 4), 3))
    assert made.kernel == "reference"
    assert set(made.gates) == {"i", "f", "g", "o"}
    assert made.gates["f"].shape == (2, 3, 4, 5)
    c = made.gates["f"][:, 0] * state[1] + made.gates["i"][:, 0] * made.gates["g"][:, 0]
    assert torch.allclose(made.gates["o"][:, 0] * c.tanh(), made.outputs[:, 0], atol=1e-6)


@pytest.mark.parametrize("variant", [("lstm", {}), ("gru", {"leak": 0.0})], ids=name_of)
@pytest.mark.parametrize("options", [{}, {"lengths": torch.tensor([[3, 0, 5]])}], ids=["dense", "ragged"])
def test_torchs_defaults_change_nothing(variant, options):
    case = make(variant)
    kernel = "cpu" if options else fused(variant)
    wanted = unroll(*case, kernel=kernel, **options)
    torch.set_default_dtype(torch.float64)
    try:
        with torch.device("meta"):
            made = unroll(*case, kernel=kernel, **options)
    finally:
        torch.set_default_dtype(torch.float32)
    assert made.outputs.dtype == torch.float32
    assert torch.equal(made.outputs, wanted.outputs)
