import sqlite3

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_stories import page, train

from memspan.errors import ArgumentError, LedgerError
from memspan.ledger import Curve, Ledger, curves, database, thin
from memspan.ledger.events import Piece


def flat_curve(values, first=1, stride=1):
    values = np.asarray(values, np.float32)
    step = first + stride * np.arange(len(values), dtype=np.int64)
    return Curve(step, values, values, values)


finite = st.floats(-1e6, 1e6, width=32)


@given(st.lists(finite, min_size=1, max_size=60), st.integers(2, 25), st.integers(1, 7))
def test_a_bin_keeps_mean_minimum_maximum_and_its_last_step(values, bin, stride):
    whole = flat_curve(values, first=stride, stride=stride)
    thinned = thin(whole, bin)
    group = (whole.step - 1) // bin
    for i, g in enumerate(dict.fromkeys(group.tolist())):
        inside = group == g
        assert thinned.step[i] == whole.step[inside][-1]
        assert thinned.low[i] == whole.mean[inside].min()
        assert thinned.high[i] == whole.mean[inside].max()
        assert thinned.mean[i] == pytest.approx(whole.mean[inside].mean(dtype=np.float64), rel=1e-6, abs=1e-6)
    assert len(thinned) == len(set(group.tolist()))
    again = thin(thinned, bin)
    assert again.mean.tobytes() == thinned.mean.tobytes()


def test_thinning_keeps_what_is_thin_already_and_the_nan_of_a_divergence():
    assert thin(flat_curve([]), 5).bin == 5
    whole = flat_curve([1, 2, np.inf, -np.inf, np.nan])
    assert thin(whole, 1) is whole
    assert np.isnan(thin(whole, 5).mean).all()
    with pytest.raises(ArgumentError):
        thin(whole, 0)


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 15)), max_size=12), st.integers(1, 4))
def test_any_story_of_appends_and_restarts_leaves_a_whole_curve(story, stride):
    """Each entry: go back to some step, then append some values; the last word on each step counts."""
    db = sqlite3.connect(":memory:", isolation_level=None)
    database.lay_tables(db)
    expected: dict[int, float] = {}
    for n, (back, count) in enumerate(story):
        keep = max(0, len(expected) - back)
        curves.keep_until(db, "r", keep * stride + stride - 1)
        expected = {s: v for s, v in expected.items() if s <= keep * stride}
        values = np.arange(count, dtype=np.float32) + 100 * n
        first = (keep + 1) * stride
        curves.put(db, "r", "loss", Piece(first, stride, values), last=first + count * stride)
        expected.update({first + i * stride: float(v) for i, v in enumerate(values)})
    found = curves.read(db, "r", "loss") if expected else flat_curve([])
    assert dict(zip(found.step.tolist(), found.mean.tolist(), strict=True)) == expected
    db.close()


@given(st.lists(st.integers(1, 5), min_size=1, max_size=30), st.integers(1, 3))
def test_a_curve_on_any_grid_is_stored_exactly(gaps, bin):
    db = sqlite3.connect(":memory:", isolation_level=None)
    database.lay_tables(db)
    step = np.cumsum(np.array(gaps, np.int64))
    mean = step.astype(np.float32)
    spread = np.float32(bin - 1)
    curves.put_curve(db, "r", "loss", Curve(step, mean, mean - spread, mean + spread, bin))
    found = curves.read(db, "r", "loss")
    assert found.step.tolist() == step.tolist()
    assert found.bin == bin
    for name, wanted in (("mean", mean), ("low", mean - spread), ("high", mean + spread)):
        assert getattr(found, name).tobytes() == wanted.tobytes()
    db.close()


def test_a_flipped_byte_in_a_stored_curve_is_found(path):
    with Ledger.open(path) as ledger:
        train(ledger, page())
    db = sqlite3.connect(path)
    blob = bytearray(db.execute('SELECT "values" FROM curves WHERE metric = "loss"').fetchone()[0])
    blob[len(blob) // 2] ^= 1
    db.execute('UPDATE curves SET "values" = ? WHERE metric = "loss" AND first = 1', (bytes(blob),))
    db.commit()
    db.close()
    with Ledger.open(path) as ledger, pytest.raises(LedgerError, match="damaged"):
        ledger.get(page().id).curve("loss")
