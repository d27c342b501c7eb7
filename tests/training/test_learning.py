"""Training on our kernels: gradients by hand are autograd's bits, compiled steps are torch's numbers."""

import pytest
import torch
from training_cases import KINDS, run

from memspan.kernels import trial
from memspan.kernels.cpu import learning as compiled
from memspan.tasks.palindrome import Palindrome
from memspan.training import learning
from memspan.training.batches import dropout_masks
from memspan.training.pack import Pack


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_by_hand_are_those_of_autograd_to_the_bit(kind):
    task, recipe = KINDS[kind]
    pack = Pack([run(task, seed, **recipe) for seed in range(2)])
    inputs, _ = pack._batch(1)
    masks = dropout_masks(pack.runs, *inputs.x.shape[1:3], 1)
    options = {"due": task.due, "masks": masks, "kernel": "auto"}
    given = pack.parameters, inputs, pack.carried or None
    ours = pack.model.record(*given, **options)
    theirs = pack.model._record_by_autograd(*given, **options)
    assert torch.equal(ours.features, theirs.features)
    d = torch.randn(ours.features.shape, generator=torch.Generator().manual_seed(0))
    mine, wanted = ours.back(d), theirs.back(d)
    assert mine.keys() == wanted.keys()
    for name, gradient in mine.items():
        assert torch.equal(gradient, wanted[name]), name
    for a, b in zip(ours.state, theirs.state, strict=True):
        assert all(torch.equal(p, q) for p, q in zip(a, b, strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_an_update_by_our_kernels_equals_the_reference_s(kind):
    task, recipe = KINDS[kind]
    ours, theirs = (Pack([run(task, clip=0.1, **recipe)], kernel) for kernel in ("auto", "reference"))
    assert isinstance(ours.learning, learning.Compiled)
    assert isinstance(theirs.learning, learning.ByTorch)
    a, b = ours.update(1)[0], theirs.update(1)[0]
    assert (a.loss, a.batch_accuracy) == pytest.approx((b.loss, b.batch_accuracy), rel=1e-5)
    assert a.gradient_norm == pytest.approx(b.gradient_norm, rel=1e-4)
    assert (ours.learning.rows.gradients != 0).any()
    norm = max(1.0, b.gradient_norm / 0.1)  # the compiled rule scales what it reads, the reference in place
    torch.testing.assert_close(
        ours.learning.rows.gradients / norm, theirs.learning.rows.gradients, rtol=1e-3, atol=1e-6
    )


def test_sound_code_stays_far_below_what_a_trial_allows():
    assert max(learning.trial_error(rule) for rule in compiled.RULES) < trial.ALLOWED / 100


def test_wrong_code_is_said_aloud_and_torch_takes_its_place(monkeypatch, tmp_path):
    monkeypatch.setattr(trial, "note_of", lambda module: tmp_path / module.__name__)
    monkeypatch.setattr(compiled.Update, "__call__", lambda *given: [0.0, 0.0])
    learning.failure.cache_clear()
    try:
        with pytest.warns(UserWarning, match="go through torch: on this machine its compiled code is wrong"):
            pack = Pack([run(Palindrome(5))])
        assert isinstance(pack.learning, learning.ByTorch)
    finally:
        learning.failure.cache_clear()
