"""c21, c23, c38 and their figures: from measurements, made up or of few cases."""

from types import MappingProxyType

import numpy as np
import pytest
import torch
from made_up import time_gate_measured

from memspan.cells.cell import Cell
from memspan.cells.time_gate.equations import TimeGate
from memspan.cells.time_gate.initial import clock_parameters
from memspan.kernels import unroll
from memspan.ledger import Measurement
from memspan.probes import Probe
from memspan.probes.slope import TASK, _gate, _loss, _SlopeOne
from memspan.report.claims import CLAIMS, Word
from memspan.report.figures import FIGURES
from memspan.streams import stream


def answered(name, cases):
    probe = Probe(name, cases=cases)
    return Measurement(probe.flat(), probe.answer(), {})


@pytest.fixture(scope="module")
def closed():
    return answered("closed_gate", 500)


@pytest.fixture(scope="module")
def slopes():
    return answered("slope", 1000)


def test_a_closed_gate_copies_bit_by_bit_and_an_open_one_does_not(closed):
    found = closed.values
    assert found["cases"] > 5000
    assert found["changed"] == found["copy_error"] == 0
    assert found["open_changed"] > 0.99
    assert found["leak_error"] == pytest.approx(1 - np.exp(-0.001 * 1000 * (1 - 0.05**2)), abs=1e-3)
    assert found["decay_error"] < 1e-12
    assert found["forget_error"] < 1e-12
    assert [left[-1] for left in found["left"]] == sorted((left[-1] for left in found["left"]), reverse=True)
    assert torch.tensor(float(found["rounds_to_one"])).sigmoid() == 1
    assert torch.tensor(float(found["rounds_to_one"] - 1)).sigmoid() < 1


def test_c38_holds_without_a_leak_only(closed):
    verdict = CLAIMS["c38"].verdict([], [closed])
    assert verdict.word is Word.CONDITIONS
    assert (verdict.value, verdict.n) == (0.0, closed.values["cases"])
    assert "Condition: leak 0" in verdict.detail
    broken = Measurement(closed.config, closed.values | {"copy_error": 0.1}, {})
    assert CLAIMS["c38"].verdict([], [broken]).word is Word.FAILS
    assert CLAIMS["c38"].verdict([]).word is Word.NOT_RUN


def test_the_true_slope_finds_the_period_and_a_slope_of_one_does_not(slopes):
    found = slopes.values
    assert found["units"] == 5
    assert found["start_error"] == pytest.approx(0.01)
    assert found["true_found"] == 5
    assert found["said_found"] == 0
    assert found["true_error"] < 1e-3 < found["said_error"]
    assert found["said_away"] >= 2


def test_c23_tells_what_training_with_a_slope_of_one_does(slopes):
    told = CLAIMS["c23"].verdict([], [time_gate_measured(), slopes])
    assert told.word is Word.FAILS
    assert "from 1% off, 5 of 5 units end within 0.1%" in told.detail
    alone = CLAIMS["c23"].verdict([], [time_gate_measured()])
    assert alone.word is Word.FAILS
    assert alone.detail.endswith("not yet run.")
    assert CLAIMS["c23"].verdict([], [slopes]).word is Word.NOT_RUN


def test_the_slopes_of_the_training_are_what_they_are_said_to_be():
    t, period, shift = torch.arange(9.0).double(), torch.full((1, 1), 7.3).double(), torch.ones(1, 1).double()
    given = [period.requires_grad_(), shift.requires_grad_()]
    k = _SlopeOne.apply(t, *given)
    assert torch.equal(k, _gate(t, *given))
    dperiod, dshift = torch.autograd.grad(k.sum(), given)
    assert float(dshift) == -9
    assert float(dperiod) == pytest.approx(float(-((t - 1) / 7.3).sum()))


class Adds(Cell):
    """A cell that adds its input to its state."""

    def step(self, p, x, state, time=None):
        return (state[0] + x,)


def test_the_trained_unit_is_a_gated_cell_that_adds():
    gate = TimeGate(Adds(1, 1), leak=0.0)
    clocks = clock_parameters([TASK.period], [TASK.shift], [TASK.open_ratio])
    p = {name: torch.zeros(1, *shape).double() for name, shape in gate.parameter_shapes().items()}
    p |= {name: torch.from_numpy(value).unsqueeze(0) for name, value in clocks.items()}
    x = torch.from_numpy(stream(0, "test").standard_normal((1, TASK.steps, 4, 1)))
    total = unroll(gate, p, x, kernel="reference").state[0].flatten()
    period, shift = torch.full((1, 1), TASK.period).double(), torch.full((1, 1), TASK.shift).double()
    k = _gate(torch.arange(TASK.steps).double(), period, shift)
    assert torch.allclose(total, x[0, ..., 0].T @ k[0], atol=1e-9)
    assert float(_loss(k, x[..., 0].transpose(1, 2))) == pytest.approx(0, abs=1e-24)


SHARES = (0.01, 0.05, 0.1, 0.5, 1.0)


def timed(machine="here", equal=True, threads=2, more=MappingProxyType({}), **sides):
    """Rows of ``memspan bench gate``: µs a step of each side, or a function of the share."""
    rows = []
    for what in ("training", "forward"):
        for share in SHARES:
            for side, us in sides.items():
                config = {"bench": "gate", "what": what, "share": share, "side": side.replace("_", " ")}
                config["threads"] = threads
                values = {"us_per_step": us(share) if callable(us) else us, "equal": equal, **more}
                rows.append(Measurement(config, values, {"name": machine}))
    return rows


def test_c21_is_judged_by_timings_of_one_machine():
    saving = timed(open_units_only=lambda share: 200 * share + 1, no_gate=100.0, all_units=105.0)
    verdict = CLAIMS["c21"].verdict([], saving)
    assert verdict.word is Word.CONDITIONS
    assert verdict.value == pytest.approx(100 / 11)
    assert verdict.n == 10
    assert "9.1 and 9.1 at 5% open" in verdict.detail
    assert CLAIMS["c21"].told(verdict) == "9.1 times faster in training at 5% open"
    sure = timed(open_units_only=10.0, no_gate=20.0, more={"ratio_low": 1.9, "ratio_high": 2.2})
    verdict = CLAIMS["c21"].verdict([], sure)
    assert (verdict.low, verdict.high) == (1.9, 2.2)
    assert CLAIMS["c21"].told(verdict).endswith("at 5% open; 95% interval [1.9, 2.2]")
    slower = timed("there", open_units_only=200.0, no_gate=100.0)
    assert CLAIMS["c21"].verdict([], [*saving, *slower]).word is Word.FAILS  # the latest machine counts
    one = timed(threads=1, open_units_only=10.0, no_gate=20.0)
    assert CLAIMS["c21"].verdict([], [*saving, *one]).value == 2
    assert CLAIMS["c21"].verdict([], timed(equal=False, open_units_only=1.0, no_gate=2.0)).is_preview
    assert CLAIMS["c21"].verdict([], timed(no_gate=2.0)).is_preview
    assert CLAIMS["c21"].verdict([], [time_gate_measured()]).is_preview


def test_a_torch_loop_at_one_share_only_is_a_point():
    rows = timed(open_units_only=1.0, no_gate=2.0) + [
        m for m in timed(torch_loop=9.0) if m.config["share"] == 0.05
    ]
    training, _ = FIGURES["fig-sparse"].draw(rows).axes
    assert {line.get_label(): len(line.get_xdata()) for line in training.get_lines()} == {
        "open units only": 5,
        "LSTM without a gate": 5,
        "plain torch loop, gated": 1,
    }


def test_figures_draw_what_was_measured(closed, slopes):
    copy = FIGURES["fig-copy"].draw([closed]).axes[0]
    assert [list(line.get_ydata()) for line in copy.get_lines()] == [
        *closed.values["left"],
        *closed.values["lstm_left"],
    ]
    assert {"leak 0", "leak 0.001", "LSTM, f = 0.999"} <= {text.get_text() for text in copy.texts}
    slope = FIGURES["fig-slope"].draw([slopes]).axes[0]
    assert len(slope.get_lines()) == 2 * 5 + 1
