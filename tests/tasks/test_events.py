"""Sines, two sensors and the planted period are what they say: ranges, chance, and oracles by hand."""

import numpy as np
import pytest

from memspan.cells.time_gate.curve import openness
from memspan.errors import ArgumentError, UnknownNameError
from memspan.streams import stream
from memspan.tasks.planted_period import PlantedPeriod
from memspan.tasks.sines import Sines
from memspan.tasks.two_sensors import TwoSensors

SAMPLINGS = ("standard", "fine", "asynchronous")


def unexplained(t, x, periods):
    """The share of x that no sine of each period explains, (periods,)."""
    angle = 2 * np.pi * t / periods[:, None]
    s, c = np.sin(angle), np.cos(angle)
    ss, sc, cc, sx, cx = ((a * b).sum(-1) for a, b in ((s, s), (s, c), (c, c), (s, x), (c, x)))
    a, b = (cc * sx - sc * cx) / (ss * cc - sc**2), (ss * cx - sc * sx) / (ss * cc - sc**2)
    return 1 - (a * sx + b * cx) / (x * x).sum()


def fits_inside(t, x):
    """Whether some period in [5, 6] explains the stretch."""
    return unexplained(t, x, np.linspace(5, 6, 401)).min() < 1e-3


@pytest.mark.parametrize(
    ("sampling", "n", "right"), [("standard", 400, 0.98), ("fine", 60, 0.98), ("asynchronous", 400, 0.99)]
)
def test_the_oracle_tells_the_period_of_sines(sampling, n, right):
    batch = Sines(sampling).sample(stream(0, "test"), n)
    rows = [(batch.times[:m, i], batch.inputs[:m, i, 0].astype(float)) for i, m in enumerate(batch.lengths)]
    assert np.mean([fits_inside(*row) for row in rows] == (batch.targets == 1)) >= right


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_sines_start_last_and_swing_as_defined(sampling):
    batch = Sines(sampling).sample(stream(1, "test"), 4000)
    assert batch.times.min() >= 0
    assert batch.times.max() <= 125
    assert np.abs(batch.inputs).max() <= 1
    assert batch.targets.mean() == 0.5
    lasts = batch.times[-1] - batch.times[0]
    if sampling == "asynchronous":
        assert (batch.lengths.min(), batch.lengths.max()) == (15, 125)
        assert batch.lengths.mean() == pytest.approx(70, abs=1.5)
    else:
        gap = {"standard": 1.0, "fine": 0.1}[sampling]
        assert np.diff(batch.times[:3], axis=0) == pytest.approx(gap)
        assert lasts.min() >= 15 - gap
        assert lasts.mean() == pytest.approx(70 - gap / 2, abs=1.5)


def test_periods_outside_are_log_uniform():
    from memspan.tasks.sines import _outside

    p = _outside(stream(0, "test"), 50_000)
    assert p.min() >= 1
    assert p.max() <= 100
    assert not ((p > 5) & (p < 6)).any()
    whole = np.log(100) - np.log(6 / 5)
    for low, high in ((1, 2), (2, 5), (6, 20), (20, 100)):
        assert np.mean((p > low) & (p < high)) == pytest.approx(np.log(high / low) / whole, abs=0.01)


def test_an_odd_number_of_sines_leaves_the_extra_to_chance():
    extra = [Sines().sample(stream(0, "test", k), 1).targets[0] for k in range(200)]
    assert 0.4 < np.mean(extra) < 0.6


def test_unknown_sampling_is_refused():
    with pytest.raises(UnknownNameError, match="did you mean 'standard'"):
        Sines("standart")


@pytest.mark.parametrize("ratio", [10, 100, 1000])
def test_the_oracle_answers_two_sensors(ratio):
    batch = TwoSensors(ratio).sample(stream(0, "test"), 100)
    value, fast, slow = np.moveaxis(batch.inputs, -1, 0)
    for i in range(100):
        first = value[slow[:, i] == 1, i][0] > 0
        majority = value[fast[:, i] == 1, i][-5:].sum() > 0
        assert batch.targets[i].tolist() == [first, majority]


@pytest.mark.parametrize("ratio", [10, 100])
def test_events_of_two_sensors_come_when_they_should(ratio):
    batch = TwoSensors(ratio).sample(stream(1, "test"), 500)
    value, fast, slow = np.moveaxis(batch.inputs, -1, 0)
    assert set(np.unique(value)) == {-1, 1}
    assert np.array_equal(fast + slow, np.ones_like(fast))
    assert (slow.sum(axis=0) == 2).all()
    for i in range(500):
        quick, rare = (batch.times[kind[:, i] == 1, i] for kind in (fast, slow))
        assert np.array_equal(np.floor(quick), np.arange(2 * ratio))
        assert np.array_equal(np.floor(rare / ratio), [0, 1])
        later = (quick > rare[0]).sum()
        assert ratio <= later <= 2 * ratio


def test_chance_of_two_sensors_is_a_quarter_for_both_and_half_for_each():
    targets = TwoSensors(10).sample(stream(2, "test"), 40_000).targets
    assert TwoSensors(10).chance() == 0.25
    assert np.allclose(targets.mean(axis=0), 0.5, atol=0.01)
    pairs = np.bincount(targets @ [2, 1]) / 40_000
    assert np.allclose(pairs, 0.25, atol=0.01)


def test_neither_the_last_slow_event_nor_the_rest_tells_the_first():
    batch = TwoSensors(10).sample(stream(3, "test"), 20_000)
    value, _, slow = np.moveaxis(batch.inputs, -1, 0)
    last = value.T[slow.T == 1].reshape(-1, 2)[:, 1] > 0
    assert np.mean(last == batch.targets[:, 0]) == pytest.approx(0.5, abs=0.02)


def test_a_ratio_too_small_for_five_fast_events_is_refused():
    with pytest.raises(ArgumentError, match="ratio 2"):
        TwoSensors(2)


PLANTED = PlantedPeriod(cycles=7, period=13.7, shift=-4.2, open_ratio=0.35)


def test_the_planted_weights_are_a_time_gate():
    k = openness(np.arange(PLANTED.steps), 13.7, -4.2, 0.35)
    assert np.allclose(PLANTED.weights(), k / k.sum())
    assert PLANTED.steps == 96


def test_the_oracle_explains_all_of_the_planted_mean():
    batch = PLANTED.sample(stream(0, "test"), 2000)
    k = openness(batch.times, 13.7, -4.2, 0.35)
    answer = (k[:, None] * batch.inputs[..., 0]).sum(axis=0) / k.sum()
    assert np.allclose(answer, batch.targets, atol=1e-6)


def test_the_best_blind_answer_to_a_planted_period_is_zero():
    targets = PLANTED.sample(stream(1, "test"), 50_000).targets.astype(float)
    assert targets.mean() == pytest.approx(0, abs=0.01)
    assert np.mean(targets**2) == pytest.approx(PLANTED.blind_error(), rel=0.03)
    assert PLANTED.chance() == 0.0


@pytest.mark.parametrize(
    "fields",
    [{"cycles": 0}, {"period": 1.0}, {"period": float("nan")}, {"open_ratio": 0.0}, {"shift": float("inf")}],
)
def test_impossible_plants_are_refused(fields):
    with pytest.raises(ArgumentError):
        PlantedPeriod(**fields)


def test_a_planted_gate_that_opens_at_no_step_is_refused():
    with pytest.raises(ArgumentError, match="opens at no step"):
        PlantedPeriod(cycles=3, period=10.0, shift=0.3, open_ratio=0.05)
