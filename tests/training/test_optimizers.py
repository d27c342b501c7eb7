"""Every update rule equals torch's, step for step."""

import math

import pytest
import torch

from memspan.config import Recipe
from memspan.training.optimizers import clip, learning_rate, rule_of

TORCH = {
    "rmsprop": lambda w, lr: torch.optim.RMSprop([w], lr=lr, alpha=0.99, eps=1e-8),
    "adam": lambda w, lr: torch.optim.Adam([w], lr=lr),
    "sgd": lambda w, lr: torch.optim.SGD([w], lr=lr, momentum=0.9),
}


@pytest.mark.parametrize("name", TORCH)
def test_equal_to_torch_step_for_step(name):
    g = torch.Generator().manual_seed(0)
    start = torch.randn(1000, generator=g, dtype=torch.float64)
    theirs = start.clone().requires_grad_()
    optimizer, rule = TORCH[name](theirs, 1e-2), rule_of(Recipe(optimizer=name))
    ours, state = start.clone(), {slot: torch.zeros_like(start) for slot in rule.slots}
    for t in range(1, 51):
        gradient = torch.randn(1000, generator=g, dtype=torch.float64) * 10 ** (-(t % 7))
        theirs.grad = gradient.clone()
        optimizer.step()
        rule.update(ours, gradient.clone(), state, 1e-2, t)
        torch.testing.assert_close(ours, theirs.detach(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("largest", [0.5, 1e6])
def test_clipping_equals_torch(largest):
    gradient = torch.randn(50, generator=torch.Generator().manual_seed(1))
    w = torch.zeros(50, requires_grad=True)
    w.grad = gradient.clone()
    theirs = torch.nn.utils.clip_grad_norm_([w], largest)
    ours = clip(gradient, largest)
    assert ours == pytest.approx(float(theirs), rel=1e-6)
    torch.testing.assert_close(gradient, w.grad)


def test_zero_turns_clipping_off():
    gradient = torch.full((4,), 100.0)
    assert clip(gradient, 0.0) == 200.0
    assert (gradient == 100).all()


def test_the_learning_rate_decays_after_every_thousandth_update():
    recipe = Recipe(learning_rate=1.0, lr_decay=0.5, lr_decay_steps=1000)
    assert [learning_rate(recipe, t) for t in (1, 1000, 1001, 2000, 2001)] == [1, 1, 0.5, 0.5, 0.25]


def test_rmsprop_estimates_the_uncentred_second_moment():
    rule, g = rule_of(Recipe()), torch.full((1,), 3.0, dtype=torch.float64)
    state = {"square": torch.zeros(1, dtype=torch.float64)}
    for t in range(1, 3001):
        rule.update(torch.zeros(1, dtype=torch.float64), g, state, 1e-3, t)
    assert math.isclose(float(state["square"]), 9.0, rel_tol=1e-9)  # a variance would be 0
