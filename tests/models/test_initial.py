"""What a recipe's knobs do to the weights a run starts from."""

import dataclasses

import numpy as np

from memspan.config import Recipe, RunConfig
from memspan.models.sequence import SequenceModel
from memspan.tasks.palindrome import Palindrome


def initial(**recipe):
    run = RunConfig(Palindrome(50), Recipe(**recipe))
    return SequenceModel.of(run).initial(run)


def test_the_input_scale_scales_the_first_layer_s_inputs_and_nothing_else():
    usual, scaled = initial(cell="rnn", layers=2), initial(cell="rnn", layers=2, input_scale=0.1)
    changed = {name for name in usual if not np.array_equal(usual[name], scaled[name])}
    assert changed == {"weight_ih"}
    assert np.allclose(scaled["weight_ih"], 0.1 * usual["weight_ih"])


def test_the_recurrent_scale_scales_the_recurrent_weights_of_every_layer():
    usual, scaled = initial(layers=2, biases=2), initial(layers=2, biases=2, recurrent_scale=2.0)
    changed = {name for name in usual if not np.array_equal(usual[name], scaled[name])}
    assert changed == {"weight_hh", "weight_hh_l1"}
    assert np.array_equal(scaled["weight_hh"], 2 * usual["weight_hh"])


def test_chrono_prepares_for_the_length_it_is_told():
    def forget(**recipe):
        return initial(bias="chrono", **recipe)["bias_ih"][128:256]

    assert np.log(25) < forget().max() <= np.log(49)
    assert np.log(500) < forget(chrono_longest=1000).max() <= np.log(999)
    assert np.array_equal(forget(), forget(chrono_longest=50))


def test_only_a_chrono_that_asks_the_task_needs_a_long_one():
    recipe = Recipe(bias="chrono", chrono_longest=50)
    assert dataclasses.replace(RunConfig(Palindrome(5), recipe), task=Palindrome(2)).recipe is recipe
