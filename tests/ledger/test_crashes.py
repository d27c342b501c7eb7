"""Whatever moment the process dies at, the ledger goes on and ends as if nothing had happened."""

import errno
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ledger_stories import FACTS, Page, assert_consistent, page, pieces, state, story

from memspan.errors import LedgerError
from memspan.ledger import DamagedCheckpointWarning, Ledger
from memspan.ledger.events import Started

RUNS = [page(seed=s) for s in range(2)]
SCRIPT = Path(__file__).with_name("ledger_crash.py")


def finish(path: Path, runs: list[Page], **how: int) -> None:
    """Resume what is unfinished, and check before, in between and after."""
    with Ledger.open(path) as ledger:
        ledger.register(runs)
        for run in runs:
            assert_consistent(ledger, run.id)
            resumed = ledger.resume(run.id)
            assert_consistent(ledger, run.id)
            assert resumed is None or resumed.state == state(run.id, resumed.step)
            if not ledger.get(run.id).done:
                for event in story(run.id, begin=resumed.step if resumed else 0, **how):
                    assert ledger.append(event)


def assert_finished(path: Path, runs: list[Page], steps: int) -> None:
    with Ledger.open(path, readonly=True) as ledger:
        for run in runs:
            record = ledger.get(run.id)
            assert (record.status, record.step, record.metrics) == (
                "finished",
                steps,
                {"accuracy": 0.1 + 0.2},
            )
            assert_consistent(ledger, run.id)
            assert ledger.final_state(run.id) == state(run.id, steps)
    left = sorted(p.name for p in path.with_name(f"{path.stem}.checkpoints").iterdir())
    assert left == sorted(f"{run.id}.final.safetensors" for run in runs)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_kill_in_every_window_is_survived(tmp_path):
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    subprocess.run(
        [sys.executable, str(SCRIPT), "windows", str(tmp_path)], check=True, env=environment, timeout=120
    )
    moments = list(tmp_path.iterdir())
    assert len(moments) > 30
    for moment in moments:
        finish(moment / "runs.ledger", RUNS[:1], every=40)
        assert_finished(moment / "runs.ledger", RUNS[:1], 100)


@pytest.mark.parametrize("kills", [4, pytest.param(25, marks=pytest.mark.slow)])
def test_kills_at_random_moments_are_survived(path, kills):
    moments = random.Random(kills)
    for _ in range(kills):
        worker = subprocess.Popen([sys.executable, str(SCRIPT), "work", str(path)])
        waited = time.monotonic() + 10
        while not path.exists() and time.monotonic() < waited:
            time.sleep(0.01)
        time.sleep(moments.uniform(0.1, 0.5))
        worker.kill()
        worker.wait()
        with Ledger.open(path) as ledger:
            for record in ledger.select():
                assert_consistent(ledger, record.id)
    finish(path, RUNS, every=500, steps=1500)
    assert_finished(path, RUNS, 1500)


def begun(ledger: Ledger) -> str:
    """Train the first run up to its checkpoint at step 75."""
    ledger.register(RUNS)
    for event in list(story(RUNS[0].id))[:4]:
        ledger.append(event)
    return RUNS[0].id


@pytest.mark.parametrize("damage", ["flip", "cut", "empty"])
def test_a_damaged_checkpoint_is_set_aside_and_the_run_begins_again(ledger, damage):
    run_id = begun(ledger)
    file = ledger.path.with_name("runs.checkpoints") / f"{run_id}.safetensors"
    content = bytearray(file.read_bytes())
    content[7] ^= 4
    file.write_bytes({"flip": content, "cut": content[:50], "empty": b""}[damage])
    with pytest.warns(DamagedCheckpointWarning, match="starts again at step 0"):
        assert ledger.resume(run_id) is None
    assert ledger.get(run_id).step == 0
    assert ledger.get(run_id).curve_names() == []
    assert not file.exists()
    assert file.with_name(f"{run_id}.damaged").exists()
    assert ledger.resume(run_id) is None
    ledger.append(Started(run_id, 0, FACTS))
    for event in list(story(run_id))[1:]:
        ledger.append(event)
    assert_consistent(ledger, run_id)


def test_a_lost_checkpoint_means_beginning_again(ledger):
    run_id = begun(ledger)
    (ledger.path.with_name("runs.checkpoints") / f"{run_id}.safetensors").unlink()
    assert ledger.resume(run_id) is None
    assert ledger.get(run_id).curve_names() == []


@pytest.mark.parametrize("call", ["replace", "fsync"])
def test_a_full_disk_keeps_the_checkpoint_before(ledger, monkeypatch, call):
    run_id = begun(ledger)
    folder = ledger.path.with_name("runs.checkpoints")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, full)
        with pytest.raises(LedgerError, match="free some space"):
            ledger.append(list(story(run_id, every=10))[8])
    assert [p.name for p in folder.iterdir()] == [f"{run_id}.safetensors"]
    assert ledger.get(run_id).step == 80
    resumed = ledger.resume(run_id)
    assert (resumed.step, resumed.state) == (75, state(run_id, 75))
    assert_consistent(ledger, run_id)


def test_a_final_state_that_was_changed_is_refused(ledger):
    run_id = RUNS[0].id
    ledger.register(RUNS)
    for event in story(run_id):
        ledger.append(event)
    file = ledger.path.with_name("runs.checkpoints") / f"{run_id}.final.safetensors"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(LedgerError, match="does not match its checksum"):
        ledger.final_state(run_id)


def test_pieces_of_the_stories_end_where_they_say():
    assert pieces("0", 20, 35)["accuracy"].first == 30
