"""A run is its page, and the page's hash is its name."""

import dataclasses
import json

import pytest

from memspan.config import Recipe, RunConfig
from memspan.errors import ArgumentError, UnknownNameError
from memspan.tasks import TASKS
from memspan.tasks.palindrome import Palindrome

LSTM_20 = RunConfig(Palindrome(20))


def test_ids_are_stored_for_ever():
    assert LSTM_20.id == "06ab969a826b84db"
    assert (
        RunConfig(Palindrome(5), Recipe(cell="rnn", learning_rate=1e-2, steps=200), seed=7).id
        == "1ff8b87569e53379"
    )


def test_fields_at_their_default_are_left_out():
    assert json.loads(LSTM_20.canonical()) == {"task": "palindrome", "length": 20, "seed": 0}


def test_every_field_but_none_changes_the_id():
    changed = {
        "cell": "gru", "hidden": 64, "init": "orthogonal", "bias": "chrono", "coding": "one_hot",
        "optimizer": "adam", "learning_rate": 0.1, "lr_decay": 0.5, "lr_decay_steps": 10, "momentum": 0.5,
        "clip": 0.0, "batch": 64, "steps": 10, "repeat": 8, "recipe_version": 2, "layers": 2, "biases": 2,
        "dropout": 0.5, "temperature": 2.0, "time_input": "delta", "time_origin": "random", "leak": 0.0,
        "clock_low": 1.0, "clock_high": 50.0, "clock_shift": "first_event", "clock_ratio": 0.1,
        "input_scale": 0.1, "recurrent_scale": 2.0, "chrono_longest": 100, "clock_learned": "none",
        "evaluate_every": 10, "evaluation_size": 10, "final_size": 10,
    }  # fmt: skip
    names = {f.name for f in dataclasses.fields(Recipe)}
    names -= {"nonlinearity", "clock_window_low", "clock_window_high"}
    assert set(changed) == names, "a new field needs a line here"
    ids = {dataclasses.replace(LSTM_20, recipe=Recipe(**{k: v})).id for k, v in changed.items()}
    relu = RunConfig(Palindrome(20), Recipe(cell="rnn", nonlinearity="relu"))
    windows = dataclasses.replace(LSTM_20, recipe=Recipe(clock_window_low=1.0, clock_window_high=8.0))
    assert len(ids | {LSTM_20.id, relu.id, windows.id}) == len(changed) + 3


@pytest.mark.parametrize("name", TASKS)
def test_no_field_of_a_task_bears_a_recipe_s_name(name):
    difficulty = {f.name for f in dataclasses.fields(TASKS.resolve(name))}
    assert not difficulty & {"task", "seed", *(f.name for f in dataclasses.fields(Recipe))}


def test_flat_and_back():
    run = RunConfig(Palindrome(9), Recipe(cell="rnn", nonlinearity="relu", clip=0.0), seed=4)
    assert RunConfig.from_flat(run.flat()) == run
    assert RunConfig.from_flat(json.loads(json.dumps(run.flat()))).id == run.id


def test_an_integer_may_stand_for_a_float():
    assert RunConfig.from_flat({"length": 20, "clip": 10}).id == LSTM_20.id
    assert Recipe(learning_rate=1) == Recipe(learning_rate=1.0)
    assert isinstance(Recipe(clip=5).clip, float)


@pytest.mark.parametrize(
    ("values", "error", "words"),
    [
        ({"length": 5, "cel": "rnn"}, UnknownNameError, "did you mean 'cell'"),
        ({"length": 5, "cell": "lst"}, UnknownNameError, "did you mean 'lstm'"),
        ({"task": "palindrom", "length": 5}, UnknownNameError, "did you mean 'palindrome'"),
        ({"length": 5, "init": "xavier"}, UnknownNameError, "did you mean 'xavier"),
        ({"length": 1}, ArgumentError, "at least 2"),
        ({"length": 5, "steps": 0}, ArgumentError, "at least 1"),
        ({"length": 5, "learning_rate": 0.0}, ArgumentError, "positive"),
        ({"length": 5, "learning_rate": float("nan")}, ArgumentError, "positive"),
        ({"length": 5, "learning_rate": "big"}, ArgumentError, "expected float"),
        ({"length": 5.5}, ArgumentError, "expected int"),
        ({"length": True}, ArgumentError, "expected int"),
        ({"length": 5, "seed": -1}, ArgumentError, "seed"),
        ({"length": 5, "cell": "rnn", "bias": "chrono"}, ArgumentError, "forget gate"),
        ({"length": 5, "chrono_longest": 2}, ArgumentError, "at least 3"),
        ({"length": 5, "input_scale": 0.0}, ArgumentError, "positive"),
        ({"length": 5, "nonlinearity": "relu"}, ArgumentError, "cell 'rnn'"),
        ({"length": 5, "cell": "phased_gru", "bias": "forget_one"}, ArgumentError, "forget gate"),
        ({"length": 5, "dropout": 1.0}, ArgumentError, "dropout"),
        ({"length": 5, "biases": 3}, ArgumentError, "1 or 2"),
        ({"length": 5, "layers": 0}, ArgumentError, "at least 1"),
        ({"length": 5, "temperature": 0}, ArgumentError, "positive"),
        ({"length": 5, "clock_low": 30.0}, ArgumentError, "at most clock_high"),
        ({"length": 5, "clock_ratio": 0.0}, ArgumentError, "above 0"),
        ({"length": 5, "clock_window_low": 2.0}, ArgumentError, "clock_window"),
        ({"length": 5, "leak": -0.1}, ArgumentError, "leak"),
        ({"length": 5, "time_input": "dt"}, UnknownNameError, "time_input"),
        ({}, ArgumentError, "needs length"),
    ],
)
def test_what_cannot_be_meant_is_refused(values, error, words):
    with pytest.raises(error, match=words):
        RunConfig.from_flat(values)


def test_pack_shape_ignores_what_replicas_may_differ_in():
    same = dataclasses.replace(LSTM_20, seed=9, recipe=Recipe(learning_rate=0.1, bias="forget_one", repeat=8))
    other = dataclasses.replace(LSTM_20, recipe=Recipe(hidden=64))
    assert same.shape() == LSTM_20.shape() != other.shape()
