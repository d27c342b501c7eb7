"""Rows: equality first, a wrong kernel is never timed. Nothing here asserts how long anything takes."""

import math

import pytest
import torch

from memspan.bench import ceiling, kernels, peers, sides, timing
from memspan.bench.kernels import COLUMNS, measure
from memspan.bench.packs import pack_row, runs
from memspan.bench.points import CELLS, FORWARD, Point
from memspan.bench.process import alone
from memspan.bench.sides import Problem
from memspan.bench.timing import Effort, Side, Watch, race, ratio_interval
from memspan.errors import MemspanError

TINY = Effort(0.0, 1, 1)
CONTRACT = (
    *("cell", "pass", "T", "B", "H", "R", "threads", "ragged", "ours_ms", "peer", "peer_ms", "ratio"),
    *("gflops", "ceiling_gflops", "ceiling_fraction", "equal"),
)


@pytest.fixture(autouse=True)
def ceiling_known(monkeypatch):
    monkeypatch.setattr(kernels, "best_ceiling", lambda threads: 100.0 * threads)


@pytest.mark.parametrize("cell", CELLS)
def test_a_row_has_the_contract_s_columns(cell):
    (row,) = measure(Point(cell, T=5, B=3, H=9, R=2), TINY)
    assert tuple(row)[: len(CONTRACT)] == CONTRACT
    assert tuple(row) == COLUMNS
    assert row["equal"] is True
    assert (row["cell"], row["T"], row["R"], row["peer"]) == (cell, 5, 2, "torch.nn")
    assert row["ratio"] == pytest.approx(row["peer_ms"] / row["ours_ms"], rel=1e-3)
    assert row["ceiling_fraction"] == pytest.approx(row["gflops"] / 200, rel=1e-3)


def test_ragged_rows_meet_torch_packed_and_padded():
    rows = measure(Point("lstm", T=12, B=4, H=8, ragged=True), TINY)
    assert [row["peer"] for row in rows] == ["torch.nn packed", "torch.nn padded"]
    assert len({row["ours_ms"] for row in rows}) == 1


def test_only_true_steps_count():
    point = Point("gru", T=20, B=6, H=8, ragged=True)
    problem = Problem.at(point)
    assert problem.steps == int(problem.lengths.sum()) < point.T * point.B


def test_forward_keeps_nothing_for_a_backward_pass():
    (made,) = sides.ours(Problem.at(Point("rnn", T=3, B=2, H=4, passes=FORWARD)))()
    assert not made.requires_grad


@pytest.mark.parametrize("where", ["value", "gradient", "nan"])
def test_a_wrong_kernel_is_refused_and_never_timed(monkeypatch, where):
    right = sides.ours

    def wrong(problem, every=False, kernel="cpu"):
        def call():
            found = right(problem, every, kernel)()
            k = 0 if where == "value" else 2
            found[k] = found[k] * (math.nan if where == "nan" else 1.001)
            return found

        return call

    def never(*_):
        raise AssertionError("timed")

    monkeypatch.setattr(sides, "ours", wrong)
    monkeypatch.setattr(kernels, "race", never)
    rows = measure(Point("lstm", T=5, B=3, H=8, ragged=True), TINY)
    assert [row["equal"] for row in rows] == [False, False]
    assert all(row["ours_ms"] is row["peer_ms"] is row["ratio"] is None for row in rows)
    assert all("not timed" in row["note"] for row in rows)
    assert kernels.failed(rows)


def test_padded_and_packed_torch_are_the_same_problem():
    problem = Problem.at(Point("gru", T=11, B=4, H=8, ragged=True))
    padded, packed = (sides.torch_side(problem, peer)()[0] for peer in (sides.PADDED, sides.PACKED))
    assert sides.worst_error(packed, [padded]) < sides.TOLERANCE


def test_other_peers_run_or_say_why_not():
    found, notes = peers.others(Problem.at(Point("lstm", T=3, B=2, H=4, threads=1)))
    names = {side.name for side in found}
    assert "reference loop" in names
    for peer in ("torchrecurrent", "jax"):
        assert peer in names or "not " in notes[peer]
    for side in found:
        side.call()


@pytest.mark.parametrize("cell", CELLS)
def test_jax_computes_the_same(cell):
    pytest.importorskip("jax")
    problem = Problem.at(Point(cell, T=4, B=3, H=8))
    found = [torch.tensor(part.__array__().copy()) for part in peers.jax_side(problem)()]
    theirs = sides.torch_side(problem, sides.DENSE)()[0]
    assert sides.worst_error([part[None] for part in found], [theirs]) < 1e-4


def test_a_race_takes_turns_and_keeps_each_name_s_best():
    order = []
    calls = {name: (lambda name=name: order.append(name)) for name in ("a", "b")}
    timed = race([Side("a", 1, calls["a"]), Side("b", 1, calls["b"])], Effort(0.0, 2, 2))
    assert set(timed) == {"a", "b"}
    turns = [name for k, name in enumerate(order) if k == 0 or order[k - 1] != name]
    assert turns == ["a", "b", "a"]  # forwards, then backwards
    assert timed["a"].threads == 1


def test_the_interval_of_a_ratio_pairs_turns_and_asks_for_six():
    def sides(*ratios):
        slower = range(1, len(ratios) + 1)  # a machine that slows down from turn to turn
        return [k * ratio for k, ratio in zip(slower, ratios, strict=True)], slower

    assert ratio_interval(*sides(2, 2, 2, 2, 9)) is None
    assert ratio_interval(*sides(2, 3, 2, 4, 2, 1)) == pytest.approx((1, 4))
    assert ratio_interval(*sides(*range(1, 16))) == pytest.approx((4, 12))  # binomial: 3.5% lie outside


def test_a_race_leaves_torch_as_it_was():
    before = torch.get_num_threads()
    race([Side("a", before + 1, lambda: None)], TINY)
    assert torch.get_num_threads() == before


def test_the_ceiling_is_the_fastest_of_three_products(monkeypatch):
    monkeypatch.setattr(ceiling, "_TIMES", 2)
    found = ceiling.ceilings(1)
    assert {"own microkernel", "torch.mm"} <= set(found)
    assert all(value > 0 for value in found.values())


def test_a_busy_machine_is_refused(monkeypatch):
    monkeypatch.setattr(Watch, "foreign", lambda self: 0.9)
    with pytest.raises(MemspanError, match=r"0\.90 cores.*--busy"):
        timing.refuse_if_busy(0.0)
    monkeypatch.setattr(Watch, "foreign", lambda self: None)
    timing.refuse_if_busy(0.0)


def test_torch_is_timed_in_a_process_of_its_own_too():
    timed = peers.as_it_comes(Point("rnn", T=3, B=2, H=4, threads=1, ragged=True))
    assert list(timed) == ["torch.nn packed as it comes", "torch.nn padded as it comes"]
    assert all(one.ms > 0 and one.threads == 1 for one in timed.values())
    assert isinstance(alone("memspan.bench.timing:keep_memory"), bool)  # False: not glibc


class Told:
    def __init__(self, loss):
        self.loss = loss


def test_a_pack_is_timed_only_if_its_losses_are_torch_s():
    from memspan.bench.packs import InARow

    def right(configs, threads):
        plain = InARow(configs)
        return lambda t: [Told(loss) for loss in plain(t)]

    assert pack_row(runs(2, 5), right, 1, TINY)["replicas"] == 2
    with pytest.raises(MemspanError, match="losses differ"):
        pack_row(runs(2, 5), lambda configs, threads: lambda t: [Told(9.0)] * 2, 1, TINY)
