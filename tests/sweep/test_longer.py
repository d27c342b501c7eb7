"""A longer run goes on from where a shorter one ended, with the bits of a run from the beginning."""

import dataclasses

import numpy as np
import pytest

from memspan.config import Recipe, RunConfig
from memspan.ledger import Ledger
from memspan.ledger.events import Finished
from memspan.sweep.longer import inherit
from memspan.tasks.palindrome import Palindrome
from memspan.training import train

SHORT = RunConfig(
    Palindrome(5), Recipe(cell="rnn", hidden=8, batch=8, steps=150, evaluate_every=50, final_size=64)
)
LONG = dataclasses.replace(SHORT, recipe=dataclasses.replace(SHORT.recipe, steps=300))


@pytest.fixture
def ledger(tmp_path):
    with Ledger.open(tmp_path / "ledger.sqlite") as opened:
        yield opened


def trained(run, ledger):
    ledger.register([run])
    saved = ledger.resume(run.id)
    for event in train([run], {run.id: saved} if saved else {}):
        ledger.append(event)
        if isinstance(event, Finished):
            return event
    raise AssertionError("it never finished")


def test_the_bits_and_curves_are_those_of_a_run_from_the_beginning(ledger, tmp_path):
    trained(SHORT, ledger)
    ledger.register([LONG])
    inherit([LONG], ledger)
    assert ledger.resume(LONG.id).step == 150
    resumed = trained(LONG, ledger)
    with Ledger.open(tmp_path / "other.sqlite") as other:
        whole = trained(LONG, other)
        for name in other.curve_names(LONG.id):
            ours, theirs = ledger.curve(LONG.id, name), other.curve(LONG.id, name)
            assert np.array_equal(ours.step, theirs.step)
            assert np.array_equal(ours.mean, theirs.mean)
    assert resumed.metrics == whole.metrics
    assert resumed.state == whole.state
    assert ledger.get(SHORT.id).status == "finished"


def test_the_longest_that_is_shorter_is_taken_and_a_run_under_way_is_left_alone(ledger):
    middle = dataclasses.replace(SHORT, recipe=dataclasses.replace(SHORT.recipe, steps=200))
    for run in (SHORT, middle):
        trained(run, ledger)
    ledger.register([LONG])
    inherit([LONG], ledger)
    assert ledger.resume(LONG.id).step == 200
    before = ledger.get(LONG.id)
    inherit([LONG], ledger)
    assert ledger.get(LONG.id) == before


def test_without_a_shorter_run_nothing_is_begun(ledger):
    other = dataclasses.replace(SHORT, seed=1)
    trained(other, ledger)
    ledger.register([LONG])
    inherit([LONG], ledger)
    assert ledger.get(LONG.id).status == "planned"
