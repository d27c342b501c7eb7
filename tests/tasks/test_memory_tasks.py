"""Copying, adding and associative recall are what they say: lags, oracles by hand, chance in closed form."""

import numpy as np
import pytest

from memspan.errors import ArgumentError
from memspan.streams import stream
from memspan.tasks.adding import Adding
from memspan.tasks.associative_recall import AssociativeRecall
from memspan.tasks.copy import Copy
from memspan.tasks.palindrome import Palindrome


@pytest.mark.parametrize("delay", [1, 2, 7, 100])
def test_a_symbol_to_copy_is_due_delay_and_ten_steps_after_it_was_read(delay):
    batch = Copy(delay).sample(stream(0, "test"), 50)
    assert len(batch.inputs) == Copy(delay).steps == delay + 20
    due = np.arange(len(batch.inputs) - Copy.due, len(batch.inputs))
    assert np.array_equal(batch.inputs[due - delay - 10], batch.targets)


@pytest.mark.parametrize("delay", [1, 2, 7])
def test_between_the_symbols_and_their_copy_there_is_only_the_marker(delay):
    batch = Copy(delay).sample(stream(0, "test"), 50)
    rest = batch.inputs[10:]
    assert np.array_equal(np.flatnonzero((rest == 9).all(axis=1)), [delay - 1])
    assert (np.delete(rest, delay - 1, axis=0) == 8).all()
    assert (np.unique(batch.inputs[:10]) == np.arange(8)).all()


def test_the_oracle_copies():
    batch = Copy(30).sample(stream(0, "test"), 200)
    kept, said = [], []
    for symbol in batch.inputs:
        if (symbol < 8).all():
            kept.append(symbol)
        said.append(kept[len(said) - 40] if len(said) >= 40 else symbol)
    assert np.mean(np.stack(said[-10:]) == batch.targets) == 1.0 >= Copy.solved_at


def test_the_oracle_adds():
    batch = Adding(31).sample(stream(0, "test"), 500)
    numbers, marks = np.moveaxis(batch.inputs, -1, 0)
    error = np.mean(((numbers * marks).sum(axis=0) - batch.targets) ** 2)
    assert 1 - error / Adding(31).blind_error() > 0.999 > Adding.solved_at


@pytest.mark.parametrize("length", [2, 3, 10, 11])
def test_each_half_has_one_mark_anywhere(length):
    marks = Adding(length).sample(stream(1, "test"), 3000).inputs[..., 1]
    assert (marks[: length // 2].sum(axis=0) == 1).all()
    assert (marks[length // 2 :].sum(axis=0) == 1).all()
    assert (marks.sum(axis=1) > 0).all()


def test_solved_adding_is_a_squared_error_of_a_hundredth():
    assert Adding.solved_at == pytest.approx(1 - 0.01 / Adding(5).blind_error())


def test_the_oracle_recalls():
    batch = AssociativeRecall(12).sample(stream(0, "test"), 500)
    for row, answer in zip(batch.inputs.T, batch.targets, strict=True):
        assert dict(zip(row[:-1:2], row[1:-1:2], strict=True))[row[-1]] == answer


@pytest.mark.parametrize("pairs", [1, 2, 26])
def test_keys_are_distinct_and_one_of_them_is_asked(pairs):
    inputs = AssociativeRecall(pairs).sample(stream(1, "test"), 2000).inputs
    keys, values, asked = inputs[:-1:2], inputs[1::2], inputs[-1]
    assert all(len(set(column)) == pairs for column in keys.T)
    assert np.array_equal(np.unique(values), np.arange(10))
    assert np.array_equal(np.unique(inputs[-1]), np.arange(10, 36))
    place = np.argmax(keys == asked, axis=0)
    assert np.bincount(place, minlength=pairs).min() > 0.6 * 2000 / pairs


@pytest.mark.parametrize("task", [Copy(4), AssociativeRecall(3), Palindrome(6)])
def test_chance_is_met_by_the_best_blind_answer(task):
    targets = task.sample(stream(2, "test"), 40_000).targets.ravel()
    assert np.bincount(targets).max() / len(targets) == pytest.approx(task.chance(), abs=0.008)


def test_the_best_blind_sum_is_one_with_an_error_of_a_sixth():
    targets = Adding(20).sample(stream(2, "test"), 60_000).targets.astype(float)
    assert targets.mean() == pytest.approx(1, abs=0.01)
    assert targets.var() == pytest.approx(Adding(20).blind_error(), rel=0.02)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Copy(0), "delay 0"),
        (lambda: Adding(1), "length 1"),
        (lambda: AssociativeRecall(0), "pairs 0"),
        (lambda: AssociativeRecall(27), "keys are distinct"),
    ],
)
def test_impossible_sizes_are_refused(make, words):
    with pytest.raises(ArgumentError, match=words):
        make()
