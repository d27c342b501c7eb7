"""What a trained model is asked: on a small real model, whatever it has learned."""

import dataclasses
import json

import numpy as np
import pytest

from memspan.config import RunConfig
from memspan.probes import text as probes
from memspan.text import Text, measures
from memspan.text.recipe import RECIPE
from memspan.training import train

RECIPE_HERE = dataclasses.replace(RECIPE, hidden=8, batch=4, steps=3, evaluate_every=3, temperature=2.0)
RUN = RunConfig(Text(window=10), RECIPE_HERE, seed=5)


@pytest.fixture(scope="module")
def state():
    return list(train([RUN]))[-1].state


@pytest.fixture(scope="module")
def answer(state):
    return probes.of_run(RUN, state)


def test_answers_are_json_without_nan(state, answer, monkeypatch):
    monkeypatch.setattr(probes, "LENGTH", 20)
    monkeypatch.setattr(probes, "DRAWS", 1)
    for values in (answer, probes.sampling(RUN, state), probes.units(RUN, state)):
        json.dumps(values, allow_nan=False)


def test_a_sample_follows_every_character_of_the_vocabulary(answer):
    vocabulary = RUN.task.vocabulary
    assert "".join(answer["starts"]) == vocabulary.symbols
    assert {len(sample) for sample in answer["samples"]} == {30}
    shown = [start + sample for start, sample in zip(answer["starts"], answer["samples"], strict=True)]
    assert answer["newlines"] == measures.newlines_per_100(shown)


def test_completions_end_with_a_sentence_or_at_their_longest(answer):
    assert list(answer["completions"]) == ["The right of the people", "No person shall be"]
    for text in answer["completions"].values():
        assert len(text) == 400 or (210 < len(text) < 400 and text[-1] in ".;!?")


def test_bits_are_those_the_task_itself_measured(state, answer):
    measured = list(train([RUN]))[-1].metrics["bits_per_character"]
    assert answer["bits_per_character"] == pytest.approx(measured, rel=1e-4)
    assert len(answer["accuracy_by_position"]) == 10
    assert answer["raw_logit_std"] == pytest.approx(2 * answer["logit_std"])


def test_without_any_unit_of_the_last_layer_only_the_bias_speaks(state, monkeypatch):
    monkeypatch.setattr(probes, "DELETED", (0, 8))
    monkeypatch.setattr(probes, "DRAWS", 1)
    found = probes.units(RUN, state)
    assert found["accuracy_without_1"][0] == found["accuracy_without_2"][0] == found["accuracy_whole"]
    shares = np.bincount(RUN.task.part("train")[1:]) / 2882
    assert found["accuracy_without_2"][1] in shares, "always the same character"


def test_the_same_units_go_in_every_model_of_a_seed(state):
    model = probes.CharacterModel.of_state(RUN, state)
    a, b = (probes._without(model, 0, 3, 5, 1).state_dict()["recurrent.weight_ih_l1"] for _ in "ab")
    assert (a == b).all()
    assert int((a == 0).all(dim=0).sum()) == 3
    assert not (model.state_dict()["recurrent.weight_ih_l1"] == 0).all(dim=0).any(), (
        "the model itself is whole"
    )
