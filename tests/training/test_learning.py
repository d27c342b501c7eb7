"""Training on our kernels: gradients by hand are autograd's bits, compiled steps are torch's numbers."""

import numpy as np
import pytest
import torch
from training_cases import KINDS, run

from memspan.errors import ShapeError
from memspan.kernels import trial
from memspan.kernels.cpu import engine
from memspan.kernels.cpu import learning as compiled
from memspan.kernels.cpu import threads as threads_module
from memspan.tasks.palindrome import Palindrome
from memspan.tasks.task import Batch
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


@pytest.fixture
def shared(monkeypatch):
    """Let the smallest work be shared by threads, and start every buffer as NaN."""
    monkeypatch.setattr(engine, "SHARED_WORK", 0.0)
    monkeypatch.setattr(engine, "poison", True)


@pytest.mark.usefixtures("shared")
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("coding", ["scalar", "one_hot"])
@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_an_update_in_one_call_has_the_bits_of_its_walks(cell, coding, count, threads, monkeypatch):
    task = Palindrome(7)
    recipe = {"cell": cell, "coding": coding, "batch": 37, "hidden": 20, "clip": 0.5, "biases": 2}
    runs = [run(task, seed, **recipe) for seed in range(count)]
    at_once, apart = (Pack(runs, threads=threads) for _ in range(2))
    monkeypatch.setattr(apart.learning, "at_once", lambda *given: None)
    for t in range(1, 5):
        assert at_once.update(t) == apart.update(t)
    assert at_once.learning._round is not None
    assert torch.equal(at_once.weights, apart.weights)
    assert torch.equal(at_once.slots["square"], apart.slots["square"])
    alone = Pack(runs[:1])
    for t in range(1, 5):
        alone.update(t)
    assert torch.equal(alone.weights[0], at_once.weights[0])


def test_what_no_round_serves_goes_walk_by_walk():
    for kind, (task, recipe) in KINDS.items():
        pack = Pack([run(task, **recipe)])
        pack.updates(1, 2)
        assert pack.learning._round is None, kind
        assert pack.learning.turns == 1, kind
    long = Pack([run(Palindrome(9), cell="lstm")])
    long.update(1)
    assert long.learning._round is not None


def test_replicas_that_are_dropped_leave_the_others_alone():
    runs = [run(Palindrome(7), seed, cell="lstm", steps=9) for seed in range(3)]
    whole, part = Pack(runs), Pack(runs)
    for t in range(1, 10):
        whole.update(t)
        if t == 4:
            part.keep([0, 2])
        part.update(t)
    assert torch.equal(part.weights, whole.weights[[0, 2]])


def test_symbols_out_of_range_are_refused():
    class Wrong(Palindrome):
        """A task whose digits run past its symbols."""

        def sample(self, generator, n):
            batch = super().sample(generator, n)
            return Batch(batch.inputs + 5, batch.targets)

    pack = Pack([run(Wrong(40), cell="rnn", coding="one_hot")])
    with pytest.raises(ShapeError, match="symbols run from"):
        pack.update(1)


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("wrong", [-1, 10])
def test_targets_out_of_range_are_refused(wrong, at_once, monkeypatch):
    class Wrong(Palindrome):
        """A task with an answer that is no class."""

        def sample(self, generator, n):
            batch = super().sample(generator, n)
            batch.targets[-1] = wrong
            return batch

    pack = Pack([run(Wrong(5), cell="rnn")])
    if not at_once:
        monkeypatch.setattr(pack.learning, "at_once", lambda *given: None)
    with pytest.raises(ShapeError, match=r"targets run from .*; expected 0 to 9"):
        pack.update(1)


def test_small_whole_numbers_are_read_as_they_are():
    class Bytes(Palindrome):
        """Digits of one byte each."""

        def sample(self, generator, n):
            batch = super().sample(generator, n)
            return Batch(batch.inputs.astype(np.int8), batch.targets.astype(np.int32))

    wide, narrow = (Pack([run(kind(9), cell="rnn", coding="one_hot")]) for kind in (Palindrome, Bytes))
    assert wide.updates(1, 3) == narrow.updates(1, 3)
    assert narrow.learning._round is not None


@pytest.mark.usefixtures("shared")
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("by", ["torchs-threads", "ours"])
def test_several_updates_in_one_call_have_the_bits_of_as_many_calls(by, threads, monkeypatch):
    if by == "ours":
        monkeypatch.setattr(threads_module, "team", lambda: None)
    runs = [
        run(Palindrome(7), seed, cell="lstm", optimizer="adam", lr_decay=0.5, lr_decay_steps=3, steps=30)
        for seed in range(2)
    ]
    one, many = (Pack(runs, threads=threads) for _ in range(2))
    shown = [one.update(t) for t in range(1, 22)]
    assert many.updates(1, 21) == shown
    assert many.learning._round.turns == 8
    assert torch.equal(one.weights, many.weights)


def test_updates_end_where_a_replica_diverges():
    runs = [run(Palindrome(7), seed, cell="lstm", steps=30) for seed in range(2)]
    pack, healthy = Pack(runs), Pack(runs)
    pack.weights[1, 0] = torch.inf
    before = pack.weights[1].clone()
    shown = pack.updates(1, 30)
    assert len(shown) == 8
    assert not shown[0][1].finite
    assert torch.equal(pack.weights[1], before)
    assert [outcomes[0] for outcomes in shown] == [outcomes[0] for outcomes in healthy.updates(1, 8)]


def test_sound_code_stays_far_below_what_a_trial_allows():
    assert max(learning.trial_error(rule) for rule in compiled.RULES) < trial.ALLOWED / 100


def test_wrong_code_is_said_aloud_and_torch_takes_its_place(monkeypatch, tmp_path):
    monkeypatch.setattr(trial, "note_of", lambda module: tmp_path / module.__name__)
    monkeypatch.setattr(compiled.Update, "__call__", lambda *given: [0.0, 0.0])
    learning.failure.cache_clear()
    try:
        with pytest.warns(UserWarning, match="go through torch: its compiled code is wrong"):
            pack = Pack([run(Palindrome(5))])
        assert isinstance(pack.learning, learning.ByTorch)
    finally:
        learning.failure.cache_clear()
