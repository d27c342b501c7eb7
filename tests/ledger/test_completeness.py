"""A run from a file is taken over only where it is whole."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_stories import page, story

from memspan.errors import LedgerError
from memspan.ledger import Curve, Ledger, thin
from memspan.ledger.completeness import refuse_incomplete_run
from memspan.ledger.records import DoneRun


def run_with(step, *, end=100, status="finished", bin=1, config=None):
    step = np.asarray(step, np.int64)
    values = np.zeros(len(step), np.float32)
    curves = {"loss": Curve(step, values, values, values, bin)}
    return DoneRun("a", config or {}, status, "", end, {}, {}, 0.0, curves)


@given(st.integers(1, 300), st.integers(1, 40), st.integers(1, 60))
def test_whatever_a_training_can_tell_is_whole(end, stride, bin):
    step = np.arange(stride, end + 1, stride)
    if len(step):
        values = np.zeros(len(step), np.float32)
        thinned = thin(Curve(step, values, values, values), bin)
        refuse_incomplete_run(run_with(thinned.step, end=end, bin=thinned.bin))


@pytest.mark.parametrize(
    ("run", "reason"),
    [
        (run_with([]), "has no values"),
        (run_with(range(1, 51)), "ends at step 50 of 100"),
        (run_with(range(51, 101)), "begins at step 51"),
        (run_with([*range(1, 40), *range(60, 101)]), "has a hole"),
        (run_with([*range(20, 60, 20), 100], bin=20), "has a hole"),
        (run_with([1, 2, 2, 3], end=3), "do not rise"),
        (run_with([-1, 0, 1], end=1), "do not rise"),
        (run_with(range(1, 102)), "do not rise from 0 to 100"),
        (run_with(range(1, 101), config={"steps": 200}), "finished at step 100 of 200"),
    ],
)
def test_what_no_training_can_tell_is_refused(run, reason):
    with pytest.raises(LedgerError, match=reason):
        refuse_incomplete_run(run)


def test_a_run_that_diverged_may_end_before_its_curves_next_value():
    refuse_incomplete_run(run_with([10], end=15, status="stopped", config={"steps": 100}))


def test_nothing_is_imported_where_one_run_is_not_whole(path):
    with Ledger.open(path) as ledger:
        with pytest.raises(LedgerError, match="nothing of the file was imported"):
            ledger.adopt([run_with(range(1, 101)), run_with(range(1, 51))])
        assert ledger.select() == []
        ledger.register([page()])
        assert all(ledger.append(event) for event in story(page().id))
