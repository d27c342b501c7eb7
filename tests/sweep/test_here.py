"""The engine without workers: what it trains is what workers train, stopped and gone on with or not."""

import pytest

from memspan.config import Recipe, RunConfig
from memspan.ledger import Ledger
from memspan.ledger.events import Checkpoint, Progress
from memspan.sweep.here import InThisProcess
from memspan.sweep.plan import missing
from memspan.sweep.run import sweep
from memspan.tasks.palindrome import Palindrome
from memspan.training import train

RUN = RunConfig(
    Palindrome(5), Recipe(cell="rnn", hidden=8, batch=8, steps=60, evaluate_every=20, final_size=64)
)


@pytest.fixture
def ledger(tmp_path):
    with Ledger.open(tmp_path / "ledger.sqlite") as opened:
        yield opened


def whole():
    return list(train([RUN]))[-1].state


def test_a_listener_hears_of_every_step_and_may_look_at_the_network(ledger):
    engine, seen = InThisProcess(), []

    def listen(event):
        if isinstance(event, Progress | Checkpoint):  # a slow step ends with a checkpoint
            assert engine.training.step == event.step
            seen.append(event.step)

    sweep([RUN], ledger, engine, listen)
    assert seen == list(range(1, 61))
    assert ledger.final_state(RUN.id) == whole()


def test_stopped_it_checkpoints_and_goes_on_to_the_same_end(ledger):
    engine = InThisProcess()
    ledger.register([RUN])
    for event in engine.run(iter_plans(ledger)):
        ledger.append(event)
        if event.step == 25:
            engine.stop()
    assert ledger.get(RUN.id).step == 26
    assert missing([RUN], ledger) == [RUN]
    sweep([RUN], ledger, InThisProcess())
    assert ledger.final_state(RUN.id) == whole()


def iter_plans(ledger):
    from memspan.sweep.plan import PackPlan

    saved = ledger.resume(RUN.id)
    yield PackPlan((RUN,), {RUN.id: saved} if saved else {})
