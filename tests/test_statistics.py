import math

import numpy as np
import pytest

from memspan.statistics import (
    bootstrap_interval,
    find_dips,
    log_rank,
    paired_difference,
    summarise,
    survival,
    wilson,
)


def numbers(batch, accuracy=(), every=100, norm=None, clip=10.0, final=1.0):
    norm = np.ones(len(batch)) if norm is None else norm
    return summarise(
        batch_accuracy=np.asarray(batch, float),
        accuracy=np.asarray(accuracy, float),
        every=every,
        gradient_norm=np.asarray(norm, float),
        clip=clip,
        solved_at=0.99,
        final_accuracy=final,
    )


def test_a_full_run_has_every_number():
    batch = np.linspace(0, 1, 5000)
    scores = np.where(np.arange(1, 51) * 100 >= 4000, 1.0, 0.5)
    scores[44] = 0.98
    got = numbers(batch, scores, norm=np.where(np.arange(5000) < 500, 20.0, 1.0))
    assert got["solved"] == got["reached"] == got["accuracy"] == 1.0
    assert got["reached_step"] == 4000
    assert got["kept"] == pytest.approx(10 / 11)
    assert got["mean_all"] == pytest.approx(0.5)
    assert got["mean_last_1000"] == pytest.approx(batch[-1000:].mean())
    assert (got["last_window"], got["peak_window"]) == (1000, 100)
    assert got["peak_100"] == pytest.approx(batch[-100:].mean())
    assert got["clipped_share"] == pytest.approx(0.1)
    assert (got["dips"], got["dip_watched_steps"]) == (0, 1000)


def test_a_run_that_never_reaches_has_no_step_and_no_dips():
    got = numbers(np.full(300, 0.1), [0.1, 0.1, 0.1], final=0.1)
    assert got["reached"] == got["solved"] == 0
    assert not {"reached_step", "kept", "dips"} & got.keys()


def test_the_final_evaluation_counts_and_short_runs_work():
    got = numbers(np.ones(20))
    assert got["reached_step"] == 20
    assert (got["last_window"], got["peak_window"], got["peak_100"]) == (4, 20, 1.0)
    assert "kept" not in got


def test_a_diverged_run_counts_up_to_its_first_nan():
    batch = np.full(250, 0.4)
    batch[200:] = math.nan
    got = numbers(batch, [0.3, 0.3, math.nan], norm=np.full(250, math.nan), final=math.nan)
    assert got["mean_all"] == 0.4
    assert got["solved"] == 0
    assert "accuracy" not in got
    assert all(math.isfinite(value) for value in got.values())
    assert numbers([], [], final=math.nan) == {"solved": 0.0, "reached": 0.0}


def test_clipping_off_clips_nothing():
    assert numbers(np.ones(10), norm=np.full(10, 99.0), clip=0.0)["clipped_share"] == 0


def test_a_dip_is_what_the_page_says():
    batch = np.full(400, 1.0)
    batch[150] = 0.80 - 1e-9  # more than 0.20 below: a dip of one step
    batch[200] = 0.81  # not deep enough
    batch[250:260] = [0.5, 0.94, 0.7, 0.94, 0.6, 0.9, 0.9, 0.5, 0.9, 0.95]  # one dip: only 0.95 is back
    batch[395:] = 0.3  # never ends
    dips = find_dips(batch, after=100)
    assert [(dip.start, dip.length) for dip in dips] == [(150, 1), (250, 9), (395, 5)]
    assert dips[1].depth == pytest.approx(0.5)


def test_dips_before_reached_do_not_count():
    batch = np.full(400, 1.0)
    batch[[50, 150]] = 0.2
    assert len(find_dips(batch, after=100)) == 1


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        (5, 5, 0.5655, 1.0),
        (8, 10, 0.4902, 0.9433),
        (10, 10, 0.7225, 1.0),
        (0, 5, 0.0, 0.4345),
        (1, 1, 0.2065, 1.0),
    ],
)
def test_wilson_equals_stored_values(successes, n, low, high):
    got = wilson(successes, n)
    assert (got.low, got.high) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))


def test_wilson_equals_scipy():
    from scipy.stats import binomtest

    for n in (1, 5, 10, 20):
        for k in range(n + 1):
            theirs, ours = binomtest(k, n).proportion_ci(method="wilson"), wilson(k, n)
            assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_wilson_refuses_what_cannot_be():
    with pytest.raises(ValueError, match="6 successes of 5"):
        wilson(6, 5)


def test_bootstrap_is_seeded_and_knows_its_limits():
    values = [0.91, 0.95, 0.99, 0.90, 0.97]
    first = bootstrap_interval(values)
    assert first == bootstrap_interval(values)
    assert first.low < first.value < first.high
    assert bootstrap_interval([0.5]) == type(first)(0.5, None, None, 1)
    assert bootstrap_interval([1.0, 1.0, 1.0]).low == 1.0
    almost_equal = bootstrap_interval([1.0, 1.0, 1.0, 1.0, 0.5])
    assert almost_equal.low < 0.9 < almost_equal.high


def test_bootstrap_of_a_mean_covers_like_the_textbook():
    data = np.random.default_rng(1).normal(size=400)
    got = bootstrap_interval(data)
    assert got.high - got.low == pytest.approx(2 * 1.96 * data.std() / 20, rel=0.05)


def test_differences_pair_by_seed():
    got = paired_difference({0: 1.0, 1: 2.0, 2: 4.0, 7: 9.0}, {0: 0.5, 1: 1.0, 2: 2.0, 8: 0.0})
    assert got.value == pytest.approx(3.5 / 3)
    assert got.n == 3
    assert paired_difference({}, {}).n == 0


# Remission times in weeks of Freireich et al. (1963): 6-mercaptopurine and placebo.
TREATED = [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35]
LEFT = [bool(c) for c in (0, 0, 0, 1, 0, 1, 0, 1, 1, 0, 0, 1, 1, 1, 0, 0, 1, 1, 1, 1, 1)]
PLACEBO = [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23]


def test_survival_equals_the_textbook():
    got = survival(TREATED, LEFT)
    at = dict(zip(got.step.tolist(), got.share.tolist(), strict=True))
    expected = {6: 0.857, 7: 0.807, 10: 0.753, 13: 0.690, 16: 0.627, 22: 0.538, 23: 0.448}
    assert {step: round(at[step], 3) for step in expected} == expected
    assert got.median == 23
    assert survival([5, 5], [True, True]).median is None


def test_log_rank_equals_the_textbook():
    z, p = log_rank(TREATED, LEFT, PLACEBO, [False] * 21)
    assert z * z == pytest.approx(16.79, abs=0.01)
    assert p == pytest.approx(4.17e-5, rel=0.01)
