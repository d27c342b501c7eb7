"""A plan is wanted minus stored, in packs that keep every worker busy."""

import json
import subprocess
import sys

import pytest

from memspan.config import Recipe, RunConfig
from memspan.ledger import Ledger
from memspan.ledger.events import Checkpoint, Finished, Started, Stopped
from memspan.sweep.cost import memory, operations, worker_memory
from memspan.sweep.plan import missing, packs, take
from memspan.tasks.palindrome import Palindrome


def run(seed=0, length=5, **recipe):
    return RunConfig(Palindrome(length), Recipe(**({"steps": 10} | recipe)), seed)


def test_done_runs_are_not_wanted_again(tmp_path):
    runs = [run(s) for s in range(4)]
    with Ledger.open(tmp_path / "l") as ledger:
        ledger.register(runs)
        for r in runs[:3]:
            ledger.append(Started(r.id, 0))
        ledger.append(Finished(runs[0].id, 10))
        ledger.append(Stopped(runs[1].id, 3, reason="diverged"))
        ledger.append(Checkpoint(runs[2].id, 5, state=b"x"))
        left = missing([*runs, *runs], ledger)
        assert left == runs[2:]
        plans = [
            plan
            for group in packs(left, ledger.checkpointed(r.id for r in left), workers=2)
            for plan in take(group, ledger)
        ]
    assert [(p.runs, p.start) for p in plans] == [((runs[3],), 0), ((runs[2],), 5)]
    assert plans[1].resume[runs[2].id].state == b"x"


def test_packs_hold_equal_shapes_only_longest_first():
    runs = [run(s, length, cell=cell) for s in range(10) for length in (5, 50) for cell in ("rnn", "lstm")]
    plans = packs(runs, {}, workers=2)
    assert all(len({r.shape() for r in group}) == 1 for group in plans)
    assert sorted(map(len, plans)) == [5] * 8
    work = [sum(map(operations, group)) for group in plans]
    assert work == sorted(work, reverse=True)
    assert sum(work) == sum(map(operations, runs))


SPLITS = [(1, 2, [1]), (4, 2, [2, 2]), (17, 2, [5, 4, 4, 4]), (20, 2, [5] * 4), (5, 4, [2, 1, 1, 1])]


@pytest.mark.parametrize(("runs", "workers", "sizes"), SPLITS)
def test_one_group_is_split_so_that_no_worker_stands_idle(runs, workers, sizes):
    planned = packs([run(s) for s in range(runs)], {}, workers=workers)
    assert list(map(len, planned)) == sizes


def test_packs_fit_into_memory():
    runs = [run(s, 100, hidden=512) for s in range(8)]
    each = memory(runs[0])
    for fit in (1, 3, 8):
        planned = packs(runs, {}, workers=1, room=worker_memory(runs[0]) + fit * each)
        assert max(map(len, planned)) <= fit
        assert sum(map(len, planned)) == 8
    assert len(packs(runs, {}, workers=1, room=0)) == 8


PEAK = """
import json, sys
from pathlib import Path
from memspan.config import RunConfig
from memspan.training.train import train
page = {**json.loads(sys.argv[2]), "steps": 1}
for event in train([RunConfig.from_flat({**page, "seed": s}) for s in range(int(sys.argv[1]))]):
    pass
status = Path("/proc/self/status").read_text()  # getrusage would count the parent's memory
print(int(status.split("VmHWM:")[1].split()[0]) * 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is told in other units elsewhere")
@pytest.mark.parametrize(
    ("replicas", "page"),
    [
        (8, {"length": 50}),
        (8, {"length": 400}),
        (2, {"length": 200, "cell": "gru", "layers": 2, "hidden": 256}),
        (4, {"task": "sines", "cell": "phased_lstm", "batch": 32}),
        (4, {"length": 100, "coding": "one_hot", "final_size": 20_000}),
        (2, {"task": "text", "window": 50, "layers": 2, "coding": "one_hot"}),
    ],
)
def test_the_estimate_of_memory_is_not_below_what_a_worker_takes(replicas, page):
    words = [sys.executable, "-c", PEAK, str(replicas), json.dumps(page)]
    peak = int(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
    one = RunConfig.from_flat({**page, "steps": 1})
    estimate = worker_memory(one) + replicas * memory(one)
    assert peak < 1.05 * estimate
    assert estimate < 3 * peak


def test_ten_thousand_runs_are_planned_in_packs_that_fit():
    grid = [
        RunConfig(Palindrome(length), Recipe(cell=cell, learning_rate=rate), seed)
        for length in range(5, 55, 5)
        for cell in ("rnn", "gru", "lstm", "peephole_lstm")
        for rate in (1e-3, 1e-2)
        for seed in range(125)
    ]
    planned = packs(grid, {}, workers=160)
    assert len(grid) == sum(map(len, planned)) == 10_000
    assert len(planned) == 40 * -(-250 // 8)


def test_operations_of_the_report_s_study():
    lengths = (5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 75, 100)
    runs = [RunConfig(Palindrome(n), Recipe(cell=c)) for n in lengths for c in ("rnn", "lstm")]
    assert abs(sum(map(operations, runs)) - 1.38e14) < 0.03e14
