"""What is measured: the grid of the benchmark, and its filters."""

from dataclasses import replace

import pytest

from memspan.bench.points import CELLS, FORWARD, Point, chosen, points
from memspan.cells import CELLS as REGISTERED
from memspan.errors import ArgumentError


def test_every_point_is_there_once_and_the_centres_come_first():
    every = points()
    assert len(set(every)) == len(every)
    assert every[: 2 * len(CELLS)] == [Point(cell, threads=n) for n in (2, 1) for cell in CELLS]
    assert set(CELLS) <= set(REGISTERED)


def test_the_axes_leave_the_centre_one_at_a_time():
    lstm = {
        p for p in points() if p.cell == "lstm" and p.threads == 2 and not p.ragged and p.passes != FORWARD
    }
    centre = Point("lstm")
    along = {
        axis: sorted(getattr(p, axis) for p in lstm if replace(p, **{axis: getattr(centre, axis)}) == centre)
        for axis in ("T", "B", "H", "R")
    }
    assert along == {
        "T": [10, 50, 100, 1000],
        "B": [1, 16, 128],
        "H": [32, 64, 128, 256, 512],
        "R": [1, 8],
    }
    assert {(p.H, p.B) for p in lstm} >= {(h, b) for h in (32, 64) for b in (1, 4, 8, 16)}


def test_one_core_measures_one_thread():
    assert {p.threads for p in points([1])} == {1}


def test_filters_keep_what_has_all_the_wanted_values():
    kept = chosen(points(), {"cell": ("gru",), "H": (32, 64), "ragged": (True,)})
    assert [(p.cell, p.H, p.ragged) for p in kept] == [("gru", 32, True), ("gru", 64, True)]


def test_a_value_no_point_has_is_refused_with_those_there_are():
    with pytest.raises(ArgumentError, match=r"--hidden 100.*32, 64, 128, 256, 512"):
        chosen(points(), {"H": (100,)})


def test_operations_are_those_of_the_recurrent_products():
    assert Point("lstm").operations() == 3 * 2 * 100 * 128 * 4 * 128 * 128
    assert Point("gru", passes=FORWARD, R=2).operations(steps=10) == 2 * 10 * 3 * 128 * 128
