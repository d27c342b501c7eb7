"""A plan is wanted minus stored, in packs that keep every worker busy."""

from memspan.config import Recipe, RunConfig
from memspan.ledger import Ledger
from memspan.ledger.events import Checkpoint, Finished, Started, Stopped
from memspan.sweep.plan import missing, operations, packs
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
        plans = packs(left, ledger, workers=2)
    assert [(p.runs, p.start) for p in plans] == [((runs[3],), 0), ((runs[2],), 5)]
    assert plans[1].resume[runs[2].id].state == b"x"


def test_packs_hold_equal_shapes_only_longest_first(tmp_path):
    runs = [run(s, length, cell=cell) for s in range(10) for length in (5, 50) for cell in ("rnn", "lstm")]
    with Ledger.open(tmp_path / "l") as ledger:
        plans = packs(runs, ledger, workers=2)
    assert all(len({r.shape() for r in plan.runs}) == 1 for plan in plans)
    assert sorted(len(p.runs) for p in plans) == [5] * 8
    work = [p.operations for p in plans]
    assert work == sorted(work, reverse=True)
    assert sum(work) == sum(map(operations, runs))


def test_one_group_is_split_over_the_workers(tmp_path):
    with Ledger.open(tmp_path / "l") as ledger:
        assert sorted(len(p.runs) for p in packs([run(s) for s in range(4)], ledger, workers=2)) == [2, 2]
        assert len(packs([run(0)], ledger, workers=2)) == 1


def test_operations_of_the_report_s_study():
    lengths = (5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 75, 100)
    runs = [RunConfig(Palindrome(n), Recipe(cell=c)) for n in lengths for c in ("rnn", "lstm")]
    assert abs(sum(map(operations, runs)) - 1.38e14) < 0.03e14
