"""Read-out, loss and update, compiled: the definitions' numbers, whatever the pack and the threads."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from memspan.config import Recipe
from memspan.kernels.cpu import engine, learning
from memspan.training.learning import spaced
from memspan.training.optimizers import clip, rule_of
from tolerances import TOLERANCES

SHAPES = [  # replicas, positions, batch, units, answers, classes
    (1, 1, 128, 128, 1, 10),
    (2, 3, 37, 20, 2, 5),
    (3, 1, 5, 13, 3, 0),
    (1, 2, 100, 40, 1, 33),
    (2, 1, 1, 1, 1, 2),
]
TEMPERATURES = (1.0, 0.7, 1.6)


@pytest.fixture(autouse=True)
def poisoned(monkeypatch):
    """Start every buffer as NaN, and let the smallest work be shared."""
    monkeypatch.setattr(engine, "poison", True)
    monkeypatch.setattr(engine, "SHARED_WORK", 0.0)


def problem(R, S, B, H, A, K):
    g = torch.Generator().manual_seed(0)
    C = A * max(1, K)
    rows = spaced(torch.randn(R, C * H + C, generator=g))
    targets = torch.randint(0, K, (R, S, B, A), generator=g) if K else torch.randn(R, S, B, A, generator=g)
    return rows, torch.randn(R, S, B, H, generator=g), targets


def views(rows, C):
    return rows[:, :-C].view(len(rows), C, -1), rows[:, -C:]


def read_out(rows, features, targets, K, threads=1, temperatures=TEMPERATURES):
    A = targets.shape[-1]
    C = A * max(1, K)
    gradients = spaced(torch.full_like(rows, torch.nan))
    both = *views(rows, C), *views(gradients, C)
    made = learning.ReadOut(*both, A, K, temperatures[: len(rows)])
    d_features = made(features, targets, threads)
    return *made.told(), d_features, gradients


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_read_out_equals_autograd_in_float64(shape):
    R, S, B, _, A, K = shape
    rows, features, targets = problem(*shape)
    losses, right, d_features, gradients = read_out(rows, features, targets, K)
    for r in range(R):
        row, x = (t[r].double().requires_grad_() for t in (rows, features))
        weight, bias = (v[0] for v in views(row.unsqueeze(0), A * max(1, K)))
        z = ((x.flatten(0, 1) @ weight.T + bias) / TEMPERATURES[r]).view(S * B, A, -1)
        y = targets[r].view(S * B, A)
        if K:
            loss = sum(functional.cross_entropy(z[:, a], y[:, a]) for a in range(A))
            assert right[r] == pytest.approx(float((z.argmax(-1) == y).all(-1).double().mean()))
        else:
            loss = (z.squeeze(-1) - y).square().mean(0).sum()
            assert right[r] == 0
        assert losses[r] == pytest.approx(loss.item(), rel=TOLERANCES["float32"])
        wanted = torch.autograd.grad(loss, [row, x])
        for got, want in zip((gradients[r], d_features[r]), wanted, strict=True):
            assert (got - want).abs().max() <= TOLERANCES["float32"] * want.abs().max()


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape[0] > 1], ids=str)
def test_a_replica_reads_out_alike_alone_in_a_pack_and_on_any_thread(shape):
    rows, features, targets = problem(*shape)
    one, two = (read_out(rows, features, targets, shape[-1], threads) for threads in (1, 2))
    for r in range(len(rows)):
        mine = slice(r, r + 1)
        alone = read_out(spaced(rows[mine]), features[mine], targets[mine], shape[-1], 1, TEMPERATURES[mine])
        for packed in (one, two):
            assert (packed[0][r], packed[1][r]) == (alone[0][0], alone[1][0])
            assert all(torch.equal(a[r], b[0]) for a, b in zip(packed[2:], alone[2:], strict=True))


def test_of_equal_energies_the_first_is_the_answer():
    rows = spaced(torch.zeros(1, 3 * 4 + 3))
    for target, share in ((0, 1.0), (1, 0.0), (2, 0.0)):
        _, right, *_ = read_out(rows, torch.ones(1, 1, 2, 4), torch.full((1, 1, 2, 1), target), 3)
        assert right == [share]


def test_nan_shows_in_its_replica_only():
    rows, features, targets = problem(2, 1, 7, 20, 1, 5)
    features[1, 0, 3, 4] = torch.nan
    losses, _, d_features, gradients = read_out(rows, features, targets, 5)
    assert np.isfinite(losses[0])
    assert np.isnan(losses[1])
    assert gradients[0].isfinite().all()
    assert d_features[0].isfinite().all()
    assert gradients[1].isnan().any()


def changed(name, count, P, clips, losses, threads=1, steps=5):
    """Return weights, slots and norms after several updates, compiled and by the definition in float64."""
    g = torch.Generator().manual_seed(1)
    rule = rule_of(Recipe(optimizer=name))
    weights, gradients = (spaced(torch.zeros(count, P)) for _ in range(2))
    weights.copy_(torch.randn(count, P, generator=g))
    slots = [spaced(torch.zeros(count, P)) for _ in rule.slots]
    exact = weights.double()
    states = [{slot: torch.zeros(P, dtype=torch.float64) for slot in rule.slots} for _ in range(count)]
    compiled, norms = learning.Update(name, weights, gradients, slots, clips, np.array(losses)), []
    for t in range(1, steps + 1):
        gradients.copy_(torch.randn(count, P, generator=g) * 10.0 ** -(t % 3))
        drawn = gradients.double()
        norms.append(compiled([rule.numbers(1e-2 * (r + 1), t) for r in range(count)], threads))
        for r in range(count):
            norm = clip(drawn[r], clips[r])
            assert norms[-1][r] == pytest.approx(norm, rel=1e-6)
            if np.isfinite(losses[r]):
                rule.update(exact[r], drawn[r], states[r], 1e-2 * (r + 1), t)
    return weights, slots, norms, exact


@pytest.mark.parametrize("name", learning.RULES)
@pytest.mark.parametrize("P", [1, 16, 1003])
def test_an_update_equals_the_rule_in_float64(name, P):
    weights, *_, exact = changed(name, 3, P, [0.0, 0.5, 1e6], [1.0, 1.0, 1.0])
    assert (weights - exact).abs().max() <= TOLERANCES["float32"] * exact.abs().max()


@pytest.mark.parametrize("name", learning.RULES)
def test_an_update_knows_no_pack_and_no_threads(name):
    one, two = (changed(name, 3, 77, [0.0, 0.5, 1e6], [1.0] * 3, threads) for threads in (1, 2))
    assert torch.equal(one[0], two[0])
    assert one[2] == two[2]
    assert all(torch.equal(a, b) for a, b in zip(one[1], two[1], strict=True))


@pytest.mark.parametrize("lost", [float("nan"), float("inf")])
def test_a_replica_that_diverged_is_not_updated(lost):
    weights, slots, _, exact = changed("adam", 2, 40, [1.0, 1.0], [1.0, lost])
    assert torch.equal(weights[1], exact[1].float())
    assert all((slot[1] == 0).all() and (slot[0] != 0).any() for slot in slots)


def test_a_gradient_that_is_not_finite_changes_nothing():
    weights, gradients, square = (spaced(torch.ones(1, 20)) for _ in range(3))
    gradients[0, 3] = torch.inf
    update = learning.Update("rmsprop", weights, gradients, [square], [1.0], np.ones(1))
    assert update([rule_of(Recipe()).numbers(1e-3, 1)]) == [float("inf")]
    assert (weights == 1).all()
    assert (square == 1).all()
