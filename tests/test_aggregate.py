"""Aggregates equal what rliable 1.2.0 gives for these scores; the values below are its own output."""

import numpy as np
import pytest

from memspan.errors import ShapeError
from memspan.statistics import (
    aggregate_iqm,
    aggregate_mean,
    aggregate_median,
    aggregate_optimality_gap,
    create_performance_profile,
    get_interval_estimates,
    probability_of_improvement,
)

X = np.array(
    [
        [0.033, 1.0, 0.01, 0.178],
        [0.307, 0.9, 0.013, 0.662],
        [0.73, 0.981, 0.584, 0.216],
        [0.045, 0.992, 0.787, 0.003],
        [0.935, 0.953, 0.972, 0.011],
        [0.318, 0.999, 0.265, 0.766],
        [0.713, 0.483, 0.161, 0.0],
        [0.963, 0.965, 0.003, 1.0],
        [0.974, 0.984, 0.093, 0.203],
        [0.283, 0.035, 0.927, 0.694],
    ]
)
Y = np.array(
    [
        [0.064, 0.295, 0.499, 0.908],
        [0.0, 0.073, 0.35, 0.422],
        [0.005, 0.593, 0.857, 0.026],
        [0.0, 0.036, 0.468, 0.04],
        [0.37, 0.398, 0.833, 0.051],
        [0.97, 0.256, 0.554, 0.087],
        [0.946, 0.194, 0.064, 0.957],
    ]
)
POINT = [
    (aggregate_mean, 0.528525, 0.3684285714),
    (aggregate_median, 0.4558, 0.3461428571),
    (aggregate_iqm, 0.55325, 0.2924285714),
    (aggregate_optimality_gap, 0.471475, 0.6315714286),
]
TAUS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


@pytest.mark.parametrize(("aggregate", "of_x", "of_y"), POINT)
def test_aggregates_equal_stored_values(aggregate, of_x, of_y):
    assert (aggregate(X), aggregate(Y)) == (pytest.approx(of_x), pytest.approx(of_y))


def test_performance_profiles_equal_stored_values():
    assert create_performance_profile(X, TAUS) == pytest.approx([0.975, 0.7, 0.55, 0.5, 0.35, 0.0])
    expected = [0.92857143, 0.57142857, 0.39285714, 0.21428571, 0.21428571, 0.0]
    assert create_performance_profile(Y, TAUS) == pytest.approx(expected)


def test_probability_of_improvement_equals_stored_values():
    assert probability_of_improvement(X, Y).value == pytest.approx(0.6035714286)
    assert probability_of_improvement(Y, X).value == pytest.approx(0.3964285714)


def test_scores_above_gamma_count_as_gamma():
    assert aggregate_optimality_gap([[0.5, 2.0]], gamma=1.0) == 0.25


def test_the_middle_half_of_one_task():
    assert aggregate_iqm([-100, 1, 2, 3, 4, 5, 6, 100]) == pytest.approx(3.5)


def test_probability_of_improvement_counts_ties_half():
    assert probability_of_improvement([1, 1, 1], [0, 0, 0]).value == 1.0
    assert probability_of_improvement([1, 2, 3, 4], [2, 3, 4, 5]).value == pytest.approx((3 + 3 * 0.5) / 16)
    assert probability_of_improvement([1], [0]).low is None


def test_scores_of_other_tasks_are_refused():
    with pytest.raises(ShapeError, match="the same tasks"):
        probability_of_improvement(X, Y[:, :3])
    with pytest.raises(ShapeError, match="runs, tasks"):
        aggregate_iqm(np.zeros((2, 2, 2)))


@pytest.mark.parametrize(
    ("scores", "aggregate", "low", "high"),
    [
        (X, aggregate_iqm, 0.3528, 0.7358),
        (X, aggregate_mean, 0.4205, 0.6360),
        (Y, aggregate_iqm, 0.1601, 0.4866),
        (Y, aggregate_mean, 0.2529, 0.4908),
    ],
)
def test_stratified_intervals_equal_stored_values(scores, aggregate, low, high):
    """Stored from 200,000 redraws; with 9,999 each end is known to about 0.004."""
    got = get_interval_estimates(scores, aggregate)
    assert (got.low, got.high) == (pytest.approx(low, abs=0.015), pytest.approx(high, abs=0.015))


def test_the_bootstrap_keeps_tasks_apart():
    """A task's scores never wander into another's: without spread within tasks there is none at all."""
    apart = np.array([[0.0, 1.0]] * 6)
    got = get_interval_estimates(apart, aggregate_mean, resamples=200)
    assert (got.low, got.high) == (0.5, 0.5)
