"""A layer of one's own is trained as it is: by its name, the same bits alone or packed, on every task."""

import numpy as np
import pytest
import torch

from memspan.config import Recipe, RunConfig
from memspan.errors import ArgumentError
from memspan.ledger import Resume
from memspan.ledger.events import Checkpoint, Finished
from memspan.models.build import model_of
from memspan.models.own_layer import OwnLayer
from memspan.study.span_budget import parameters
from memspan.tasks.adding import Adding
from memspan.tasks.copy import Copy
from memspan.tasks.palindrome import Palindrome
from memspan.training import train
from memspan.training.pack import Pack

LSTM, LEAKY = "torch.nn:LSTM", "own_layers:Leaky"


def own(cell=LEAKY, task=None, seed=0, **recipe):
    fields = {"hidden": 8, "batch": 16, "steps": 20, "final_size": 64} | recipe
    return RunConfig(task or Palindrome(4), Recipe(cell=cell, **fields), seed)


def finals(runs, **options):
    return {event.run_id: event for event in train(runs, **options) if isinstance(event, Finished)}


def test_it_learns_and_says_what_it_is():
    pack = Pack([own(LSTM, steps=200, optimizer="adam", learning_rate=1e-2)])
    assert pack.choice.kernel == "own"
    losses = [pack.update(t)[0].loss for t in range(1, 201)]
    assert np.mean(losses[-20:]) < 0.7 * losses[0]


def test_its_parameters_are_the_module_s_and_the_read_out_s():
    theirs = sum(value.numel() for value in torch.nn.LSTM(1, 8).parameters())
    assert parameters(own(LSTM)) == theirs + 8 * 10 + 10
    assert isinstance(model_of(own(LSTM)), OwnLayer)
    assert not isinstance(model_of(own("lstm")), OwnLayer)


def test_the_seed_alone_decides_where_it_starts():
    before = torch.get_rng_state()
    first, again, other = (Pack([own(seed=seed)]).weights for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_replica_knows_neither_its_pack_nor_threads():
    runs = [own(seed=seed) for seed in range(3)]
    together, alone = finals(runs), finals(runs[1:2], threads=2)
    assert together[runs[1].id].state == alone[runs[1].id].state


def test_it_goes_on_from_a_checkpoint_with_the_same_bits():
    run = own()
    checkpoints = (e for e in train([run], checkpoint_every=0.0) if isinstance(e, Checkpoint))
    half = next(event for event in checkpoints if event.step == 10)
    resumed = finals([run], resume={run.id: Resume(10, half.state)})
    assert resumed[run.id].state == finals([run])[run.id].state


@pytest.mark.parametrize(
    "run",
    [own(task=Copy(2)), own(task=Adding(5)), own(coding="one_hot"), own("torch.nn:GRU"), own("torch.nn:RNN")],
    ids=["copy", "adding", "one_hot", "gru", "rnn"],
)
def test_every_kind_of_task_and_layer_serves(run):
    [final] = finals([run]).values()
    assert final.metrics["accuracy"] <= 1
    assert final.metrics["reached"] == 0


def test_a_layer_from_torchrecurrent():
    pytest.importorskip("torchrecurrent", reason="torchrecurrent is not installed; pip install memspan[test]")
    [final] = finals([own("torchrecurrent:MGU")]).values()
    assert 0 <= final.metrics["accuracy"] <= 1


@pytest.mark.parametrize(
    ("cell", "recipe", "words"),
    [
        ("torch.nn:Linear", {}, "expected a pair"),
        ("own_layers:Buffered", {}, "buffers"),
        ("own_layers:Untrained", {}, "nothing to train"),
        ("own_layers:Missing", {}, "cannot be imported"),
        (LEAKY, {"init": "orthogonal"}, "init is for cells"),
        (LEAKY, {"layers": 2}, "layers is for cells"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_reason(cell, recipe, words):
    with pytest.raises(ArgumentError, match=words):
        Pack([own(cell, **recipe)])
