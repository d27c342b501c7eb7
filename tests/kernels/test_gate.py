"""The time gate in the kernels: what open and closed gates leave, what is chosen, refused and kept."""

import math

import pytest
import torch
from kernel_cases import error, make, run, same_bits

from memspan.cells.lstm.equations import LSTM
from memspan.cells.time_gate.equations import TimeGate
from memspan.cells.time_gate.initial import FirstEvent, LogUniform
from memspan.errors import KernelRefusal
from memspan.kernels import choose, unroll
from memspan.kernels.cpu import call, engine, ops
from tolerances import TOLERANCES

GRU = ("gru", {"leak": 0.0})
PEEPHOLES = ("peephole_lstm", {"leak": 0.0})


def clocked(case, period, shift, logit):
    """Give every unit of a case the same clock."""
    cell, p, x, state = case
    clocks = {"log_period": period, "shift": shift, "open_logit": logit}
    return cell, p | {name: torch.full_like(p[name], value) for name, value in clocks.items()}, x, state


@pytest.mark.parametrize(("variant", "kernel"), [(PEEPHOLES, "cpu"), (PEEPHOLES, "sparse"), (GRU, "sparse")])
def test_always_open_is_the_plain_cell(variant, kernel):
    cell, p, x, state = clocked(make(variant, 1, 6, 5, 2, 33), 27.6, -0.5 * math.exp(27.6), 40.0)
    plain = {name: p[name] for name in cell.cell.parameter_shapes()}
    times = torch.arange(6)
    gated = unroll(cell, p, x, state, times=times, kernel=kernel)
    free = unroll(cell.cell, plain, x, state, kernel="reference")
    assert torch.allclose(gated.outputs, free.outputs, atol=1e-5)
    if kernel == "cpu":
        same = unroll(cell.cell, plain, x, state, kernel="cpu")
        assert torch.allclose(gated.outputs, same.outputs, atol=TOLERANCES["float32"])


@pytest.mark.parametrize("kernel", ["cpu", "sparse"])
def test_always_closed_keeps_every_bit_and_passes_gradients_through(kernel):
    case = clocked(make(PEEPHOLES, 2, 6, 5, 2, 33), 7.0, 500.0, -20.0)
    made = run(case, kernel)
    for name, part in zip(("outputs", "states c"), case[3], strict=True):
        assert torch.equal(made[name], part.unsqueeze(1).expand(2, 6, 5, 33))
    assert not made["d weight_hh"].any()
    worst, where = error(made, run(case, "reference", torch.float64))
    assert worst <= TOLERANCES["float32"], where


@pytest.mark.parametrize(
    "given", [{}, {"lengths": torch.tensor([[0, 11, 40], [7, 40, 1]])}], ids=["dense", "ragged"]
)
def test_a_stream_of_few_rows_equals_the_reference(given):
    for variant in (GRU, PEEPHOLES):
        for symbols in (False, True):
            cell, p, x, state = make(variant, 2, 40, 3, 4, 37, symbols=symbols)
            with torch.no_grad():
                got = unroll(cell, p, x, state, kernel="sparse", return_states=True, **given)
                p = {name: value.double() for name, value in p.items()}
                x, state = x if symbols else x.double(), tuple(part.double() for part in state)
                want = unroll(cell, p, x, state, kernel="reference", return_states=True, **given)
            for a, b in zip(
                [*got.states.values(), *got.state], [*want.states.values(), *want.state], strict=True
            ):
                assert float((a - b).abs().max() / b.abs().max()) <= TOLERANCES["float32"]


def test_steps_of_a_stream_are_the_stream():
    cell, p, x, state = make(GRU, 1, 12, 1, 2, 40)
    with torch.no_grad():
        whole = unroll(cell, p, x, state, kernel="sparse")
        for t in range(12):
            one = unroll(cell, p, x[:, t : t + 1], state, times=torch.tensor([t]), kernel="sparse")
            state = one.state
            assert torch.equal(one.outputs[:, 0], whole.outputs[:, t])


def test_only_openings_are_kept():
    def saved(logit):
        cell, p, x, state = clocked(make(GRU, 1, 200, 16, 1, 32), 4.0, 0.0, logit)
        given = (x, torch.stack(state), *call.operands(cell, p))
        times = torch.arange(200).double()
        return ops.unroll_op(*given, times, None, None, call.variant_of(cell, True), False, False, True, -1)[
            3
        ].numel()

    rare, always = saved(-3.0), saved(40.0)  # 4.7% and 100% open
    assert rare < 0.1 * always


def test_chunks_change_no_bit(monkeypatch):
    case = make(GRU, 2, 11, 17, 3, 33)
    given = {"lengths": torch.randint(0, 12, (2, 17), generator=torch.Generator().manual_seed(3))}
    whole = run(case, "sparse", chunk=0, **given)
    for chunk in (1, 4, 100):
        assert same_bits(run(case, "sparse", chunk=chunk, **given), whole)
    monkeypatch.setattr("memspan.kernels.cpu.sparse.engine.KEEP_BYTES", 2000)  # decided by memory
    assert same_bits(run(case, "sparse", **given), whole)


def test_auto_goes_by_the_open_share_of_the_scheme():
    for scheme, kernel in ((LogUniform(open_ratio=0.05), "sparse"), (LogUniform(open_ratio=0.9), "cpu")):
        assert choose(TimeGate(LSTM(2, 64), 0.0, scheme)).kernel == kernel
    choice = choose(TimeGate(LSTM(2, 64), 0.0, FirstEvent(16, 4000)))
    assert choice.kernel == "sparse"
    assert "open units only" in choice.reason
    assert TimeGate(LSTM(2, 64), 0.0, LogUniform(open_ratio=0.25)).open_share == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("cell", "given", "reason"),
    [
        (LSTM(2, 3), {}, "no time gate"),
        (TimeGate(LSTM(2, 3)), {}, "leak of 0.001"),
        (TimeGate(LSTM(2, 3), 0.0), {"row_times": True}, "times of its own"),
        (TimeGate(LSTM(2, 3), 0.0), {"resets": True}, "reset"),
        (TimeGate(LSTM(2, 3), 0.0), {"dtype": torch.float64}, "float64"),
        (TimeGate(LSTM(2, 3), 0.0), {"moving": True}, "derivatives by the times"),
    ],
)
def test_what_the_sparse_kernel_cannot_serve_is_said(cell, given, reason):
    with pytest.raises(KernelRefusal, match=reason):
        choose(cell, kernel="sparse", **given)
    if isinstance(cell, TimeGate):
        choice = choose(cell, **given)
        assert choice.kernel != "sparse"
        assert reason in choice.reason


def test_derivatives_by_the_times_fall_back():
    cell, p, x, state = make(GRU, 1, 4, 2, 2, 5)
    times = torch.arange(4.0).requires_grad_()
    made = unroll(cell, p, x, state, times=times)
    made.outputs.sum().backward()
    assert made.kernel == "reference"
    assert times.grad is not None


def test_a_clock_that_is_nan_shows():
    cell, p, x, state = make(GRU, 2, 4, 20, 2, 9)
    p["log_period"][1, 0] = float("nan")
    made = unroll(cell, p, x, state, kernel="sparse")
    assert made.outputs[1, :, :, 0].isnan().all()
    assert not made.outputs[0].isnan().any()


def test_a_pack_of_unlike_clocks_equals_its_replicas_and_threads_change_nothing(monkeypatch):
    monkeypatch.setattr(engine, "SHARED_WORK", 0.0)
    cell, p, x, state = make(GRU, 3, 9, 40, 2, 33)
    p["open_logit"] = torch.tensor([-4.0, 0.0, 4.0])[:, None].expand(3, 33).clone()
    before = torch.get_num_threads()
    results = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        results.append(run((cell, p, x, state), "sparse"))
    torch.set_num_threads(before)
    assert all(torch.equal(results[0][name], results[1][name]) for name in results[0])
    for r in range(3):
        one = {name: value[r : r + 1] for name, value in p.items()}
        alone = run((cell, one, x[r : r + 1], tuple(s[r : r + 1] for s in state)), "sparse", pack=(r, 3))
        assert all(torch.equal(alone[name], value[r : r + 1]) for name, value in results[0].items())
