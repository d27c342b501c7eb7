"""The custom operators: torch's own checks, first and second derivatives, vmap."""

import pytest
import torch
from kernel_cases import VARIANTS, fused, make, params
from torch.func import grad, vmap

from memspan.errors import KernelRefusal
from memspan.kernels import unroll
from memspan.kernels.cpu import call, ops
from tolerances import TOLERANCES


def operands(case, sparse=False, **options):
    cell, p, x, state = case
    given = (torch.stack(state), *call.operands(cell, p))
    floats = [t.clone().requires_grad_() if t is not None else None for t in given]
    x = x.clone().requires_grad_() if x.dtype.is_floating_point else x
    fixed = (cell.clock(None, x.shape[1], x.device), options.get("lengths"), options.get("resets"))
    return x, *floats, *fixed, call.variant_of(cell, sparse)


@pytest.mark.parametrize("symbols", [False, True], ids=["floats", "symbols"])
@pytest.mark.parametrize("variant", params(VARIANTS))
def test_opcheck(variant, symbols):
    case = make(variant, 1, 3, 2, 2, 4, biases=1, symbols=symbols)
    sparse = fused(variant) == "sparse"
    utilities = ("test_schema", "test_autograd_registration", "test_faketensor")
    args = (*operands(case, sparse), True, len(case[3]) > 1, True, -1)
    torch.library.opcheck(ops.unroll_op, args, test_utils=utilities)
    lengths = torch.tensor([[3, 1]])
    args = (*operands(case, sparse, lengths=lengths), True, False, True, 2)
    torch.library.opcheck(ops.unroll_op, args, test_utils=utilities)
    with torch.no_grad():
        args = operands(case, sparse)
        *_, saved = ops.unroll_op(*args, True, False, True, -1)
        wants = [t is not None and t.dtype.is_floating_point for t in args[: len(call.GRADIENTS)]]
        above = (torch.ones(1, 3, 2, 4), torch.ones_like(args[1]), None, saved)
        backward = (*above, *args, -1, wants)
    torch.library.opcheck(ops.unroll_backward_op, backward, test_utils=("test_schema", "test_faketensor"))


@pytest.mark.parametrize("variant", params(VARIANTS))
def test_the_reference_is_differentiable_twice(variant):
    cell, p, x, state = make(variant, 1, 3, 2, 2, 2, seed=3)
    leaves = [t.double().requires_grad_() for t in (*p.values(), x, *state)]

    def f(*values):
        q = dict(zip(p, values, strict=False))
        made = unroll(
            cell, q, values[len(p)], values[len(p) + 1 :], kernel="reference",
            lengths=torch.tensor([[3, 2]]), resets=torch.tensor([[[0, 0], [1, 0], [0, 0]]]).bool(),
        )  # fmt: skip
        return made.outputs, *made.state

    assert torch.autograd.gradcheck(f, leaves)
    assert torch.autograd.gradgradcheck(f, leaves)


def second(case, kernel, dtype):
    """Return the gradient of the squared length of the gradient."""
    cell, p, x, state = case
    leaves = [t.to(dtype).requires_grad_() for t in (*p.values(), x, *state)]
    made = unroll(
        cell, dict(zip(p, leaves, strict=False)), leaves[len(p)], tuple(leaves[len(p) + 1 :]),
        kernel=kernel, return_states=True,
    )  # fmt: skip
    total = made.outputs.pow(2).sum() + made.state[-1].sum() + made.states[case[0].states[-1]].pow(3).sum()
    first = torch.autograd.grad(total, leaves, create_graph=True)
    return torch.autograd.grad(sum(g.pow(2).sum() for g in first), leaves, allow_unused=True)


@pytest.mark.parametrize("variant", params(VARIANTS))
def test_second_derivatives_equal_the_reference(variant):
    case = make(variant, 2, 3, 2, 3, 4)
    for a, b in zip(
        second(case, fused(variant), torch.float32), second(case, "reference", torch.float64), strict=True
    ):
        assert float((a - b).abs().max() / b.abs().max()) < 10 * TOLERANCES["float32"]


@pytest.mark.parametrize("variant", params(VARIANTS))
def test_vmap_equals_a_loop(variant):
    cell, p, x, state = make(variant, 2, 3, 4, 2, 5)
    many = torch.stack([x, 2 * x, -x])
    lengths = torch.tensor([[3, 0, 1, 2], [1, 2, 3, 3]])

    def f(x, lengths=None):
        made = unroll(cell, p, x, state, kernel=fused(variant), lengths=lengths)
        return made.outputs, made.state

    mapped = vmap(f)(many)
    for k in range(3):
        assert torch.equal(mapped[0][k], f(many[k])[0])
        assert all(torch.equal(a[k], b) for a, b in zip(mapped[1], f(many[k])[1], strict=True))
    ragged = vmap(f)(many, lengths.expand(3, 2, 4))
    assert torch.equal(ragged[0][1], f(many[1], lengths)[0])


@pytest.mark.parametrize("variant", params(VARIANTS))
def test_gradients_of_every_sample_at_once(variant):
    cell, p, x, _ = make(variant, 1, 3, 4, 2, 5)

    def loss(p, x, kernel):
        return unroll(cell, p, x, kernel=kernel).outputs.pow(2).sum()

    samples = x.movedim(2, 0).unsqueeze(3)
    got = vmap(lambda s: grad(loss)(p, s, fused(variant)))(samples)
    for b in range(4):
        want = grad(loss)(p, samples[b], "reference")
        for name in p:
            assert torch.allclose(got[name][b], want[name], rtol=1e-4, atol=1e-5), name


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")  # torch's own
def test_forward_mode_is_refused_and_auto_falls_back():
    cell, p, x, state = make(("lstm", {}), 1, 3, 2, 2, 4)
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(x, torch.ones_like(x))
        with pytest.raises(KernelRefusal, match="forward-mode"):
            unroll(cell, p, dual, state, kernel="cpu")
        made = unroll(cell, p, dual, state)
        assert made.kernel == "reference"
        assert "forward-mode" in made.reason
        assert torch.autograd.forward_ad.unpack_dual(made.outputs).tangent is not None


def test_states_and_gradients_only_where_wanted():
    cell, p, x, state = make(("gru", {}), 1, 4, 3, 2, 6)
    p["weight_hh"].requires_grad_()
    unroll(cell, p, x, state, kernel="cpu").outputs.sum().backward()
    assert p["weight_hh"].grad is not None
    assert x.grad is None
    x.requires_grad_()
    q = {name: value.detach() for name, value in p.items()}
    unroll(cell, q, x, state, kernel="cpu").outputs.sum().backward()
    assert x.grad is not None
