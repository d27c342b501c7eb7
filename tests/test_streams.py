"""Random streams are named, not remembered."""

import numpy as np
import pytest

from memspan.errors import ArgumentError
from memspan.streams import stream


def draw(*name):
    return stream(*name).integers(0, 2**63, size=64)


def test_a_name_gives_the_same_numbers_whatever_was_drawn_before():
    first = draw(3, "train", 4000)
    for step in range(5):
        draw(3, "train", step)
    assert np.array_equal(first, draw(3, "train", 4000))


@pytest.mark.parametrize("other", [(4, "train", 7), (3, "evaluate", 7), (3, "train", 8), (7, "train", 3)])
def test_another_name_gives_other_numbers(other):
    assert not np.intersect1d(draw(3, "train", 7), draw(*other)).size


def test_a_step_never_runs_into_the_next():
    long = stream(0, "train", 0).integers(0, 2**63, size=200_000)
    assert not np.intersect1d(long, draw(0, "train", 1)).size


def test_stored_values_hold_the_streams_for_ever():
    assert stream(0, "train palindrome length=5", 1).integers(0, 10, size=8).tolist() == GOLDEN


@pytest.mark.parametrize("name", [(-1, "a"), (0, "a", -1), (2**64, "a")])
def test_out_of_range_is_refused(name):
    with pytest.raises(ArgumentError, match="must be in"):
        stream(*name)


GOLDEN = [2, 7, 9, 5, 6, 5, 2, 7]
