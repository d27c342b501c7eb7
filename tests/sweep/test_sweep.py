"""The driver: what is trained, in which packs, and what happens when a worker dies or somebody says stop."""

import functools
import signal
import time

import numpy as np
import pytest
from sweep_stories import Inline, content, runs, work_until_killed

from memspan.errors import ArgumentError
from memspan.ledger import Ledger
from memspan.ledger.events import Checkpoint, Finished, Started
from memspan.sweep import local
from memspan.sweep.engine import Crash
from memspan.sweep.local import LocalEngine
from memspan.sweep.plan import PackPlan
from memspan.sweep.run import InterruptedSweepError, SweepError, sweep
from memspan.sweep.worker import CHECKPOINT_EVERY, How, training
from memspan.training.pack import Pack


def test_finished_runs_are_never_trained_twice(tmp_path):
    with Ledger.open(tmp_path / "l") as ledger:
        sweep(runs(), ledger, first := Inline())
        sweep(runs(), ledger, second := Inline())
        sweep(runs(5), ledger, third := Inline())
        assert (len(first.packs), len(second.packs)) == (1, 0)
        assert [run.seed for plan in third.packs for run in plan.runs] == [3, 4]
        assert {r.status for r in ledger.select()} == {"finished"}


def test_local_engine_equals_training_here(tmp_path, undisturbed):
    with Ledger.open(tmp_path / "there") as ledger:
        sweep(runs(), ledger, LocalEngine(workers=2))
    assert content(tmp_path / "there") == undisturbed(runs())


def test_a_mistake_found_in_a_worker_reaches_the_caller(tmp_path):
    with Ledger.open(tmp_path / "l") as ledger, pytest.raises(ArgumentError, match="kernel='gpuu'"):
        sweep(runs(1), ledger, LocalEngine(workers=1, kernel="gpuu"))


def test_a_worker_that_is_killed_is_replaced_and_its_pack_resumed(tmp_path, undisturbed, monkeypatch):
    wanted, seen = runs(10), []
    monkeypatch.setattr(local, "work", functools.partial(work_until_killed, tmp_path / "killed"))
    with Ledger.open(tmp_path / "l") as ledger:
        sweep(wanted, ledger, LocalEngine(workers=1, checkpoint_every=0.0), seen.append)
    assert (tmp_path / "killed").exists()
    assert content(tmp_path / "l") == undisturbed(wanted)
    begun = [event.step for event in seen if isinstance(event, Started)]
    assert begun[:10] == [0] * 10  # the replacement takes the second pack before the first is resumed
    assert len(begun) == 15
    assert min(begun[10:]) > 0


class Dying(Inline):
    """Loses every pack that holds the run of one seed."""

    def __init__(self, seed):
        super().__init__()
        self.seed = seed

    def run(self, plans):
        def spared():
            for plan in plans:
                if any(run.seed == self.seed for run in plan.runs):
                    self.packs.append(plan)
                    yield Crash(plan, "worker ended with exit code -9")
                else:
                    yield from super(Dying, self).run(iter([plan]))

        return spared()


def test_a_run_that_kills_its_worker_ends_up_alone_and_is_given_up_with_the_reason(tmp_path):
    with Ledger.open(tmp_path / "l") as ledger:
        with pytest.raises(SweepError, match=r"1 runs were given up after .* 3 times.*exit code -9"):
            sweep(runs(8), ledger, engine := Dying(seed=5))
        assert [r.config["seed"] for r in ledger.select(status="planned")] == [5]
    assert [len(plan.runs) for plan in engine.packs if any(r.seed == 5 for r in plan.runs)] == [8, 4, 1]


def test_a_run_that_gets_on_is_never_given_up(tmp_path):
    class Shaky(Inline):
        def run(self, plans):
            for plan in plans:
                self.packs.append(plan)
                (run,) = plan.runs
                yield Started(run.id, plan.start)
                if plan.start == 10:
                    yield Finished(run.id, 40)
                else:
                    yield Checkpoint(run.id, plan.start + 1, state=bytes([plan.start]))
                    yield Crash(plan, "lost")

    with Ledger.open(tmp_path / "l") as ledger:
        sweep(runs(1), ledger, engine := Shaky())
    assert [plan.start for plan in engine.packs] == list(range(11))


@pytest.mark.parametrize("presses", [1, 2])
def test_ctrl_c_once_stops_gently_and_twice_at_once(tmp_path, presses, undisturbed):
    left = [signal.SIGINT] * presses

    def press(event):
        while left:
            signal.raise_signal(left.pop())

    before = signal.getsignal(signal.SIGINT)
    expected = InterruptedSweepError if presses == 1 else KeyboardInterrupt
    with Ledger.open(tmp_path / "l") as ledger:
        with pytest.raises(expected):
            sweep(runs(), ledger, Inline(), press)
        assert {step > 0 for _, step in ledger.standings().values()} == {presses == 1}
        assert ledger.holds.living(run.id for run in runs()) == set()
        sweep(runs(), ledger, Inline())
    assert signal.getsignal(signal.SIGINT) is before
    assert content(tmp_path / "l") == undisturbed(runs())


def test_runs_that_another_process_holds_are_waited_for_and_taken_over(tmp_path, monkeypatch, undisturbed):
    monkeypatch.setattr("memspan.sweep.run.PATIENCE", 0.0)
    waited = []
    with Ledger.open(tmp_path / "l") as ledger, Ledger.open(tmp_path / "l") as other:
        held = runs()[1].id
        assert other.holds.take(held)

        def wait(left):
            waited.append(left)
            if len(waited) == 3:
                other.holds.release(held)

        sweep(runs(), ledger, engine := Inline(), wait=wait)
    assert waited == [1, 1, 1]
    assert [len(plan.runs) for plan in engine.packs] == [2, 1]
    assert content(tmp_path / "l") == undisturbed(runs())


def test_a_checkpoint_is_never_older_than_the_setting_and_one_step(monkeypatch):
    """What a kill costs: the clock here is moved by the updates alone, seven seconds each."""
    now, updates = [0.0], Pack.updates

    def slow_updates(pack, first, last):
        now[0] += 7.0 * (last - first + 1)
        return updates(pack, first, last)

    monkeypatch.setattr(Pack, "updates", slow_updates)
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    saved = [0.0]
    for message in training(PackPlan(tuple(runs(2, steps=50)), {}), How(), lambda: False):
        if isinstance(message, Checkpoint):
            saved.append(now[0])
        assert now[0] - saved[-1] <= CHECKPOINT_EVERY + 7.0 <= 30.0
    assert len(saved) > 50 * 7 / 30


def test_metrics_are_float_for_float_those_of_the_curves(tmp_path):
    with Ledger.open(tmp_path / "l") as ledger:
        sweep(runs(1, steps=200), ledger, Inline())
        (record,) = ledger.select()
        assert record.metrics["mean_all"] == pytest.approx(
            np.mean(record.curve("batch_accuracy").mean), rel=1e-6
        )
