"""A sweep ends with exactly the runs wanted, bit-identical however often it was killed."""

import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from memspan.config import Recipe, RunConfig
from memspan.errors import KernelRefusal
from memspan.ledger import Ledger
from memspan.sweep.local import LocalEngine
from memspan.sweep.run import SweepError, sweep
from memspan.tasks.palindrome import Palindrome
from memspan.training.train import train


class Inline:
    """An engine in this process; counts the packs it trained."""

    workers, crashes = 1, ()

    def __init__(self):
        self.packs = 0

    def run(self, plans):
        for plan in plans:
            self.packs += 1
            yield from train(plan.runs, plan.resume)

    def stop(self):
        pass


def runs(n=3, steps=40, cell="rnn"):
    recipe = Recipe(cell=cell, hidden=16, batch=8, steps=steps)
    return [RunConfig(Palindrome(5), recipe, seed) for seed in range(n)]


def content(path):
    """Everything the ledger holds of its runs but wall-clock time."""
    with Ledger.open(path, readonly=True) as ledger:
        return {
            r.id: (r.status, r.step, r.metrics, {n: r.curve(n).mean.tobytes() for n in r.curve_names()})
            for r in ledger.select()
        }


def test_finished_runs_are_never_trained_twice(tmp_path):
    with Ledger.open(tmp_path / "l") as ledger:
        sweep(runs(), ledger, first := Inline())
        sweep(runs(), ledger, second := Inline())
        sweep(runs(5), ledger, third := Inline())
        assert (first.packs, second.packs) == (1, 0)
        assert third.packs >= 1
        assert {r.status for r in ledger.select()} == {"finished"}


def test_local_engine_equals_training_here(tmp_path):
    with Ledger.open(tmp_path / "here") as a, Ledger.open(tmp_path / "there") as b:
        sweep(runs(), a, Inline())
        sweep(runs(), b, LocalEngine(workers=2))
    assert content(tmp_path / "here") == content(tmp_path / "there")


def test_a_refusal_in_a_worker_reaches_the_caller(tmp_path):
    unserved = RunConfig(Palindrome(5), Recipe(cell="peephole_lstm", hidden=4, steps=2))
    with Ledger.open(tmp_path / "l") as ledger, pytest.raises(KernelRefusal, match="peephole_lstm"):
        sweep([unserved], ledger, LocalEngine(workers=1, kernel="cpu"))


class Dying(Inline):
    """Loses every pack."""

    def run(self, plans):
        from memspan.sweep.local import Crash

        self.packs += 1
        self.crashes = [Crash(plan, "worker ended with exit code -9") for plan in plans]
        return iter(())


def test_a_pack_that_always_dies_is_given_up_with_its_reason(tmp_path):
    with Ledger.open(tmp_path / "l") as ledger, pytest.raises(SweepError, match="exit code -9"):
        sweep(runs(), ledger, engine := Dying())
    assert engine.packs == 3


def command(out, steps=800, seeds="0-2"):
    words = f"train palindrome --length 6 --cell rnn --hidden 16 --batch 8 --steps {steps} --seeds {seeds}"
    return [sys.executable, "-m", "memspan", *words.split(), "--out", str(out)]


def killed_at_random(out, kills, seed=0):
    rng = random.Random(seed)
    for _ in range(kills):
        process = subprocess.Popen(command(out), stdout=subprocess.DEVNULL, start_new_session=True)
        time.sleep(rng.uniform(0.3, 5.0))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    subprocess.run(command(out), check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("kills", [2, pytest.param(12, marks=pytest.mark.slow)])
def test_killed_at_any_moment_ends_bit_identical(tmp_path, kills):
    killed_at_random(tmp_path / "killed", kills)
    subprocess.run(command(tmp_path / "whole"), check=True, stdout=subprocess.DEVNULL)
    assert content(tmp_path / "killed/ledger.sqlite") == content(tmp_path / "whole/ledger.sqlite")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_gentle_stop_checkpoints_and_exits_130(tmp_path, number):
    process = subprocess.Popen(
        command(tmp_path, steps=1_000_000, seeds="0-1"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    ledger = tmp_path / "ledger.sqlite"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not (ledger.exists() and running(ledger)):
        time.sleep(0.1)
    time.sleep(1.0)
    process.send_signal(number)
    _, complaint = process.communicate(timeout=60)
    assert process.returncode == 130, complaint
    assert "the same command goes on" in complaint
    with Ledger.open(ledger) as opened:
        assert all(opened.resume(r.id).step > 0 for r in opened.select())


def running(path):
    with Ledger.open(path, readonly=True) as ledger:
        records = ledger.select()
        return records and all(r.status == "running" for r in records)


def test_metrics_are_float_for_float_those_of_the_curves(tmp_path):
    with Ledger.open(tmp_path / "l") as ledger:
        sweep(runs(1, steps=200), ledger, Inline())
        (record,) = ledger.select()
        assert record.metrics["mean_all"] == pytest.approx(
            np.mean(record.curve("batch_accuracy").mean), rel=1e-6
        )
