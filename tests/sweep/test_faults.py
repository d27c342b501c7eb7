"""Whatever goes wrong, the same command ends with the runs wanted, bit for bit as if nothing had been."""

import functools
import importlib
import os
import random
import signal
import subprocess
import sys
import time

import pytest
from sweep_stories import Inline, attempts, command, content, runs, standings

from memspan.errors import LedgerError
from memspan.ledger import DamagedCheckpointWarning, Ledger
from memspan.ledger.events import Checkpoint
from memspan.sweep.run import sweep


def start(words, **how):
    return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, **how)


def finish(words):
    return subprocess.run(words, check=True, capture_output=True, text=True, timeout=300)


def until(condition, process=None):
    """Wait until something is so; however slow the machine, never for ever."""
    for _ in range(3000):
        if condition():
            return
        assert process is None or process.poll() is None, process.communicate()[1]
        time.sleep(0.05)
    raise AssertionError("never came true")


def under_way(ledger):
    """Whether some run has a checkpoint and is not done."""
    return any(status == "running" and step > 0 for status, step in standings(ledger))


def training_or_done(ledger, process):
    return under_way(ledger) or process.poll() is not None


@pytest.mark.parametrize("kills", [2, pytest.param(25, marks=pytest.mark.slow)])
def test_killed_at_random_moments(tmp_path, kills, undisturbed):
    rng, ledger = random.Random(kills), tmp_path / "ledger.sqlite"
    size = {"n": 2, "steps": 800} if kills == 2 else {"n": 8, "steps": 120_000}
    for kill in range(kills):
        process = start(command(tmp_path, **size), start_new_session=True)
        if kill % 2:  # at any moment of the start
            time.sleep(rng.uniform(0.2, 4.0))
        else:  # at any moment of the training
            until(functools.partial(training_or_done, ledger, process))
            time.sleep(rng.uniform(0.0, 1.0))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    finish(command(tmp_path, **size))
    assert content(ledger) == undisturbed(runs(**size))


@pytest.mark.parametrize(
    "signals",
    [
        ["SIGTERM"],
        pytest.param(["SIGINT"], marks=pytest.mark.slow),
        pytest.param(["SIGINT", "SIGINT"], marks=pytest.mark.slow),
    ],
    ids="+".join,
)
def test_stopped_by_signals(tmp_path, signals, undisturbed):
    ledger, size = tmp_path / "ledger.sqlite", {"n": 2, "steps": 60_000}
    process = start(command(tmp_path, **size))
    until(lambda: under_way(ledger), process)
    for name in signals:
        process.send_signal(getattr(signal, name))
        time.sleep(0.02)
    _, said = process.communicate(timeout=120)
    assert process.returncode == {"SIGTERM": 143, "SIGINT": 130}[signals[0]], said
    assert len(said.strip().splitlines()) == 1
    if len(signals) == 1:
        assert "2 runs left, the same command goes on" in said
    assert {status for status, _ in standings(ledger)} == {"running"}
    finish(command(tmp_path, **size))
    assert content(ledger) == undisturbed(runs(**size))


class Stumble(Exception):
    """What ends a sweep in these tests, in place of a power cut."""


def interrupted(path, wanted):
    """Leave a ledger in the middle of a sweep: one pack has checkpoints."""

    def stumble(event):
        if isinstance(event, Checkpoint) and event.step == 15:
            raise Stumble

    with Ledger.open(path) as ledger, pytest.raises(Stumble):
        sweep(wanted, ledger, Inline(checkpoint_every=0.0), stumble)


@pytest.mark.parametrize("damage", ["truncated", "flipped"])
def test_a_damaged_checkpoint(tmp_path, damage, undisturbed):
    interrupted(tmp_path / "l", runs())
    file = tmp_path / f"l.checkpoints/{runs()[0].id}.safetensors"
    whole = file.read_bytes()
    middle = len(whole) // 2
    flipped = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
    file.write_bytes({"truncated": whole[:middle], "flipped": flipped}[damage])
    with Ledger.open(tmp_path / "l") as ledger, pytest.warns(DamagedCheckpointWarning):
        sweep(runs(), ledger, engine := Inline())
    assert {plan.start for plan in engine.packs if runs()[0] in plan.runs} == {0}
    assert all(plan.start > 0 for plan in engine.packs if runs()[0] not in plan.runs)
    assert content(tmp_path / "l") == undisturbed(runs())


@pytest.fixture
def small_disk(tmp_path):
    """A disk of one megabyte, and how to mount it otherwise."""
    disk = tmp_path / "disk"
    disk.mkdir()

    def mount(options):
        return subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(disk)], capture_output=True, check=False
        )

    if sys.platform != "linux" or mount("size=1m").returncode:
        pytest.skip("mounting a small disk needs Linux and the right to mount")
    yield disk, mount
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk(small_disk, undisturbed):
    disk, mount = small_disk
    wanted = runs(8, hidden=128)
    with Ledger.open(disk / "l") as ledger, pytest.raises(LedgerError, match="free some space"):
        sweep(wanted, ledger, Inline())
    assert 0 < sum(status == "finished" for status, _ in standings(disk / "l")) < 8
    assert mount("remount,size=16m").returncode == 0
    with Ledger.open(disk / "l") as ledger:
        sweep(wanted, ledger, Inline())
    assert content(disk / "l") == undisturbed(wanted)


def test_a_disk_that_became_read_only(small_disk, undisturbed):
    disk, mount = small_disk
    assert mount("remount,size=16m").returncode == 0
    interrupted(disk / "l", runs())
    assert mount("remount,ro").returncode == 0
    with pytest.raises(LedgerError, match="writable"):
        Ledger.open(disk / "l")
    assert mount("remount,rw").returncode == 0
    with Ledger.open(disk / "l") as ledger:
        sweep(runs(), ledger, Inline())
    assert content(disk / "l") == undisturbed(runs())


def test_a_read_only_ledger_is_refused_before_anything_is_trained(tmp_path, undisturbed):
    interrupted(tmp_path / "l", runs())
    before = content(tmp_path / "l")
    with Ledger.open(tmp_path / "l", readonly=True) as ledger, pytest.raises(LedgerError, match="readonly"):
        sweep(runs(), ledger, engine := Inline())
    assert engine.packs == []
    assert content(tmp_path / "l") == before
    with Ledger.open(tmp_path / "l") as ledger:
        sweep(runs(), ledger, Inline())
    assert content(tmp_path / "l") == undisturbed(runs())


def test_two_sweeps_at_once_share_the_work(tmp_path, undisturbed):
    size = {"n": 16, "steps": 100}
    both = [start(command(tmp_path, **size)) for _ in range(2)]
    for process in both:
        _, said = process.communicate(timeout=300)
        assert process.returncode == 0, said
    assert content(tmp_path / "ledger.sqlite") == undisturbed(runs(**size))
    assert set(attempts(tmp_path / "ledger.sqlite").values()) == {1}


def test_the_second_sweep_takes_over_when_the_first_is_killed(tmp_path, undisturbed):
    ledger, size = tmp_path / "ledger.sqlite", {"n": 2, "steps": 60_000}
    first = start(command(tmp_path, **size), start_new_session=True)
    until(lambda: under_way(ledger), first)
    os.killpg(first.pid, signal.SIGSTOP)  # it holds its runs, and cannot end before the second has come
    second = start(command(tmp_path, **size))
    second.stderr.readline()  # it says that it waits
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    _, said = second.communicate(timeout=300)
    assert second.returncode == 0, said
    assert content(ledger) == undisturbed(runs(**size))
    assert set(attempts(ledger).values()) == {2}


def test_the_clock_set_back(tmp_path, monkeypatch, undisturbed):
    interrupted(tmp_path / "l", runs())
    for file in tmp_path.rglob("*"):
        os.utime(file, (4e9, 4e9))  # everything on the disk is from the year 2096
    clock = iter(range(10**9, 0, -3600))
    monkeypatch.setattr(time, "time", lambda: float(next(clock)))  # an hour back at every look, from 2001
    with Ledger.open(tmp_path / "l") as ledger, Ledger.open(tmp_path / "l") as other:
        assert other.holds.take("another run")
        sweep(runs(), ledger, engine := Inline())
    assert all(plan.start > 0 for plan in engine.packs)
    assert content(tmp_path / "l") == undisturbed(runs())


def test_a_pack_that_runs_out_of_memory_is_trained_in_smaller_ones(tmp_path, monkeypatch, undisturbed):
    room = importlib.import_module("memspan.training.train")
    expected, train = undisturbed(runs(8)), room.train

    def cramped(pack, *arguments, **options):
        if len(pack) > 4:
            raise MemoryError
        return train(pack, *arguments, **options)

    monkeypatch.setattr(room, "train", cramped)
    with Ledger.open(tmp_path / "l") as ledger:
        sweep(runs(8), ledger, engine := Inline())
    assert [len(plan.runs) for plan in engine.packs] == [8, 4, 4]
    assert content(tmp_path / "l") == expected


LIMITED = """
import os, resource, sys
if "--multiprocessing-fork" in sys.orig_argv:
    import scipy.linalg  # OpenBLAS waits for ever where it finds no memory while it is loaded
    limit = int(os.environ["LIMIT"])
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux holds a process to RLIMIT_AS")
def test_a_worker_whose_memory_is_limited(tmp_path, undisturbed):
    """A limit between what one replica takes and what eight take, both measured."""
    words = "sweep --length 50 --cell rnn --layers 2 --hidden 128 --batch 2048 --steps 2 --workers 1 --seeds"
    one, eight = (peak(tmp_path / seeds, [*words.split(), seeds]) for seeds in ("0-0", "0-7"))
    assert eight > 1.2 * one
    limit = str((one + eight) // 2)
    (tmp_path / "sitecustomize.py").write_text(LIMITED)
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    out, where = tmp_path / "limited", {**os.environ, "LIMIT": limit, "PYTHONPATH": path}
    command = [sys.executable, "-m", "memspan", *words.split(), "0-7", "--out", str(out)]
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=120, env=where)
    assert content(out / "ledger.sqlite") == content(tmp_path / "0-7/ledger.sqlite")
    assert max(attempts(out / "ledger.sqlite").values()) > 1


def peak(out, words):
    """Return the largest virtual memory, in bytes, of the worker that trains."""
    seen, process = [0], start([sys.executable, "-m", "memspan", *words, "--out", str(out)])
    while process.poll() is None:
        seen += map(virtual_peak, children(process.pid))
        time.sleep(0.02)
    assert process.returncode == 0, process.communicate()
    process.communicate()
    return max(seen)


def children(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return [int(word) for word in file.read().split()]
    except OSError:
        return []


def virtual_peak(pid):
    try:
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            return next((int(line.split()[1]) * 1024 for line in file if line.startswith("VmPeak")), 0)
    except OSError:
        return 0


def test_a_replica_that_diverges_leaves_the_others_as_they_are(tmp_path, undisturbed):
    wild = runs(1, optimizer="sgd", learning_rate=1e38)[0]
    calm = runs(4, optimizer="sgd")[1:]
    with Ledger.open(tmp_path / "l") as ledger:
        sweep([wild, *calm], ledger, engine := Inline())
        assert [len(plan.runs) for plan in engine.packs] == [4]
        assert ledger.get(wild.id).status == "stopped"
        assert "diverged at step" in ledger.get(wild.id).reason
        sweep([wild, *calm], ledger, again := Inline())
    assert again.packs == []
    assert content(tmp_path / "l") == undisturbed(calm) | undisturbed([wild])
