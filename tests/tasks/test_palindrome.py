"""The palindrome task is what it says, by executed example."""

import numpy as np
import pytest

from memspan.streams import stream
from memspan.tasks.palindrome import Palindrome


@pytest.mark.parametrize("length", [2, 3, 4, 5, 10, 25])
def test_a_batch_is_palindromes(length):
    batch = Palindrome(length).sample(stream(0, "test"), 500)
    whole = np.concatenate([batch.inputs, batch.targets[None]])
    assert whole.shape == (length, 500)
    assert np.array_equal(whole, whole[::-1])
    assert batch.inputs.shape[0] == Palindrome(length).steps == length - 1
    assert np.array_equal(batch.targets, batch.inputs[0])


def test_digits_are_uniform_and_positions_of_the_first_half_independent():
    digits = Palindrome(10).sample(stream(0, "test"), 50_000).inputs
    counts = np.stack([np.bincount(row, minlength=10) for row in digits[:5]])
    assert np.abs(counts / 50_000 - 0.1).max() < 0.006
    assert np.abs(np.corrcoef(digits[:5]) - np.eye(5)).max() < 0.02


def test_an_odd_length_has_a_middle_digit_of_its_own():
    digits = Palindrome(5).sample(stream(0, "test"), 20_000).inputs
    assert abs(np.corrcoef(digits[2], digits[1])[0, 1]) < 0.03


def test_chance_is_met_by_the_best_blind_answer():
    batch = Palindrome(6).sample(stream(0, "test"), 50_000)
    best_blind = np.bincount(batch.targets).max() / 50_000
    assert best_blind == pytest.approx(Palindrome(6).chance(), abs=0.01)


def test_the_oracle_solves_it():
    batch = Palindrome(20).sample(stream(0, "test"), 1000)
    assert np.mean(batch.inputs[0] == batch.targets) == 1.0 >= Palindrome.solved_at


def test_streams_of_two_lengths_or_uses_are_apart():
    purposes = {Palindrome(n).purpose(use) for n in (5, 6) for use in ("train", "evaluate", "final")}
    assert len(purposes) == 6
