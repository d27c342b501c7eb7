"""Several sensors' readings as one sequence: laws over random recordings, cases by hand, and refusals."""

import datetime
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import memspan
from memspan.errors import ArgumentError, MemspanError, ShapeError
from memspan.sensors import merge_streams

NAN = float("nan")
ZONED = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
masked = np.ma.masked_array
often = settings(derandomize=True, deadline=None, max_examples=100)
instants = st.lists(st.integers(-4, 9).map(lambda i: i / 2), max_size=6)  # ties are likely


@st.composite
def recordings(draw):
    """Two or three recordings of the same sensors, every value of its own: what is lost or moved shows."""
    sizes, number = draw(st.lists(st.integers(1, 3), min_size=1, max_size=3)), iter(range(1, 10_000))
    made = []
    for _ in range(draw(st.integers(1, 3))):
        sensors = []
        for d in sizes:
            times = np.array(draw(instants))
            values = np.array([[next(number) for _ in range(d)] for _ in times], dtype=float).reshape(-1, d)
            sensors.append((times, values[:, 0] if d == 1 and draw(st.booleans()) else values))
        made.append(sensors)
    return sizes, made


def readings_of(sizes, events, times, n):
    """The (sensor, time, values) that the events of one recording tell."""
    told = []
    for t in range(n):
        for s, d in enumerate(sizes):
            begin, was_read = sum(sizes[:s]), events[t, sum(sizes) + s].item()
            assert was_read in (0, 1)
            if was_read:
                told.append((s, times[t].item(), *events[t, begin : begin + d].tolist()))
            else:
                assert not events[t, begin : begin + d].any()
    return told


@often
@given(recordings())
def test_every_reading_is_told_once_at_its_time_and_nothing_else(case):
    sizes, made = case
    events, times, lengths = merge_streams(*made)
    assert events.shape == (*times.shape, sum(sizes) + len(sizes))
    assert (times.dtype, lengths.dtype) == (torch.float64, torch.int64)
    for b, sensors in enumerate(made):
        n = int(lengths[b])
        given_ = [
            (s, t, *np.atleast_1d(v))
            for s, (ts, vs) in enumerate(sensors)
            for t, v in zip(ts, vs, strict=True)
        ]
        assert sorted(readings_of(sizes, events[:, b], times[:, b], n)) == sorted(given_)
        assert (times[:, b].diff() >= 0).all()
        assert not events[n:, b].any()
        assert (times[n:, b] == (times[n - 1, b] if n else 0)).all()
    assert times.shape[0] == lengths.max()


@often
@given(recordings(), st.randoms(use_true_random=False))
def test_the_order_in_which_readings_come_does_not_matter(case, random):
    _, made = case
    shuffled = []
    for sensors in made:
        turned = []
        for times, values in sensors:
            _, first = np.unique(times, return_index=True)  # ties keep their order, so leave them out
            order = random.sample(list(first), len(first))
            turned.append(((times[np.sort(first)], values[np.sort(first)]), (times[order], values[order])))
        shuffled.append(turned)
    a, b = (merge_streams(*([pair[k] for pair in sensors] for sensors in shuffled)) for k in (0, 1))
    assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


@often
@given(recordings())
def test_a_batch_is_its_recordings_side_by_side(case):
    _, made = case
    events, times, lengths = merge_streams(*made)
    turned = merge_streams(*made, batch_first=True, dtype=torch.float64)
    assert torch.equal(turned.events.transpose(0, 1).float(), events)
    assert torch.equal(turned.times.T, times)
    for b, sensors in enumerate(made):
        alone = merge_streams(sensors)
        n = int(lengths[b])
        assert torch.equal(alone.events[:, 0], events[:n, b])
        assert torch.equal(alone.times[:, 0], times[:n, b])


def test_readings_at_one_time_are_one_event_and_a_second_reading_is_another():
    fast, slow = ([1.0, 0.0, 1.0], [5.0, 4.0, 6.0]), ([1.0], [[7.0, 8.0]])
    events, times, lengths = merge_streams([fast, slow])
    assert times[:, 0].tolist() == [0, 1, 1]
    assert events[:, 0].tolist() == [[4, 0, 0, 1, 0], [5, 7, 8, 1, 1], [6, 0, 0, 1, 0]]
    assert lengths.tolist() == [3]


def test_nan_is_a_gap_and_a_sensor_may_be_silent():
    grid = np.arange(4.0)
    events, times, lengths = merge_streams(
        [(grid, [1, NAN, NAN, 4]), (grid, [[NAN, NAN], [5, 6], [NAN, NAN], [7, 8]])],
        [([], []), (grid[:1], np.array([[9, 9]]))],
        [([], []), (np.zeros(0), np.zeros((0, 2)))],
    )
    assert times[:, 0].tolist() == [0, 1, 3]
    assert events[:, 0, 3:].tolist() == [[1, 0], [0, 1], [1, 1]]
    assert lengths.tolist() == [3, 1, 0]
    assert not times[:, 2].any()


def test_any_kind_of_numbers_and_times_as_exact_as_they_came():
    t = 1_700_000_000.25
    for times in ([t], np.array([t]), torch.tensor([t], dtype=torch.float64), np.array([t], dtype=">f8")):
        for values in ([True], np.array([1], dtype=np.uint8), torch.ones(1, dtype=torch.bfloat16)):
            made = merge_streams([(times, values)])
            assert made.times.item() == t
            assert made.events.tolist() == [[[1.0, 1.0]]]
    assert merge_streams([(torch.tensor([2**40]), [1.0])]).times.item() == 2**40


@pytest.mark.parametrize("kind", [np.float64, np.float32, np.int64, np.bool_])
def test_what_a_masked_array_masks_is_a_gap(kind):
    values = masked(np.array([1, 0, 3], kind), [False, True, False])
    for read in (values, [values[k : k + 1] for k in range(3)]):  # one array, and a row at a time
        made = merge_streams([([0.0, 1.0, 2.0], read)])
        assert made.events[:, 0, 0].tolist() == [float(kind(1)), float(kind(3))]
        assert made.times[:, 0].tolist() == [0.0, 2.0]
    clear = masked(np.array([1, 0, 3], kind), [False] * 3)
    assert merge_streams([(masked([0.0, 1.0, 2.0], [False] * 3), clear)]).lengths.tolist() == [3]


GOOD = ([0.0, 1.0], [1.0, 2.0])
BAD = {
    "nothing": ((), "no recording was given"),
    "an array": ((np.zeros(3),), r"recording 0 is a ndarray of shape \(3,\); expected a list of pairs"),
    "no sensor": (([],), "recording 0 is 0 parts; expected a list of pairs"),
    "pairs as recordings": (GOOD, r"recording 0, sensor 0 is a float; expected a pair"),
    "a list of recordings": (([[GOOD, GOOD], [GOOD, GOOD]],), r"merge_streams\(\*recordings\)"),
    "a list of long recordings": (([[GOOD] * 3, [GOOD] * 3],), r"sensor 0 is 3 parts; .*\(\*recordings\)"),
    "unequal": (([([0.0], [1.0, 2.0])],), r"sensor 0 has times \(1,\) and values \(2,\); expected"),
    "rank": (([([0.0], [[[1.0]]])],), r"values \(1, 1, 1\); expected \(n,\), and \(n,\) or \(n, d\)"),
    "no values": (([([0.0], np.zeros((1, 0)))],), r"values \(1, 0\)"),
    "ragged": (([([0.0, 1.0], [[1.0], [1.0, 2.0]])],), "2 parts of unequal parts; expected numbers"),
    "words": (([(["a"], [1.0])],), "recording 0, sensor 0: times have dtype <U1; expected numbers"),
    "None": (([GOOD, ([0.0], [None])],), "sensor 1: values have dtype object; expected numbers"),
    "dates": (([(np.zeros(1, "M8[s]"), [1.0])],), r"numbers since one origin, .*timedelta64\(1, 's'\)"),
    "dates with a zone": (([([ZONED], [1.0])],), "dtype datetime; expected numbers since one .* zone"),
    "durations": (([([datetime.timedelta(1)], [1.0])],), "dtype timedelta; expected numbers since one"),
    "masked times": (([(masked([0.0, 1.0], [False, True]), [1.0, 2.0])],), "times are masked in part; leave"),
    "masked in part": (([([0.0], masked([[1.0, 2.0]], [[True, False]]))],), "reading 0 is NaN in part"),
    "time NaN": (([([NAN], [1.0])],), "recording 0, sensor 0: times hold NaN or infinity"),
    "time infinite": (([GOOD], [([math.inf], [1.0])]), "recording 1, sensor 0: times hold NaN or infinity"),
    "nanoseconds": (([([1_700_000_000 * 10**9], [1.0])],), "count from a later origin"),
    "float32 times": (([(torch.tensor([2.0**25]), [1.0])],), "give times as torch.float64"),
    "bool times": (([(torch.tensor([True]), [1.0])],), "times have dtype torch.bool"),
    "infinite": (([([0.0], [math.inf])],), "values hold infinity; expected finite values, or NaN for a gap"),
    "NaN in part": (([([0.0, 1.0], [[1.0, 2.0], [NAN, 2.0]])],), "reading 1 is NaN in part; give its"),
    "other sensors": (([GOOD], [GOOD, GOOD]), r"recording 1 has 2 sensors of \[1, 1\] values; .* 1 of \[1\]"),
    "other width": (([GOOD], [([0.0], [[1.0, 2.0]])]), r"recording 1 has 1 sensors of \[2\] values"),
}  # fmt: skip


@pytest.mark.parametrize("wrong", BAD)
def test_bad_recordings_are_refused_with_a_sentence(wrong):
    recordings, words = BAD[wrong]
    with pytest.raises(ArgumentError, match=words) as caught:
        merge_streams(*recordings)
    assert isinstance(caught.value, MemspanError)
    if "shape" in words or "dtype" in words:
        assert isinstance(caught.value, ShapeError)


@pytest.mark.parametrize("batch_first", [False, True])
def test_a_layer_reads_them(batch_first):
    made = merge_streams([GOOD, ([0.25, 7.0], [3.0, 4.0])], [GOOD, ([], [])], batch_first=batch_first)
    layer = memspan.PhasedLSTM(4, 5, batch_first=batch_first, periods=(0.1, 10.0))
    output, (h, _) = layer(made.events, times=made.times, lengths=made.lengths)
    alone = layer(made.events[1, :2] if batch_first else made.events[:2, 1], times=torch.tensor([0.0, 1.0]))
    assert torch.allclose(h[0, 1], alone[1][0][0], atol=1e-6)
    assert output.shape == (*made.times.shape, 5)
