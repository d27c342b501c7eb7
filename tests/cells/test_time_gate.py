"""The time gate: its curve against closed forms, its gradients; open, closed, leaking; times refused."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from memspan.cells import CELLS
from memspan.cells.initial import initial_parameters
from memspan.cells.lstm.equations import LSTM
from memspan.cells.peephole_lstm.equations import PeepholeLSTM
from memspan.cells.time_gate import curve
from memspan.cells.time_gate.equations import TimeGate, openness, phase
from memspan.cells.time_gate.initial import FirstEvent, LogUniform, clock_parameters
from memspan.errors import ArgumentError, ShapeError
from memspan.kernels import unroll
from memspan.streams import stream

FLOAT64 = torch.float64
periods = st.floats(-3, 6).map(lambda e: 10.0**e)
ratios = st.floats(0.01, 1.0)
leaks = st.sampled_from([0.0, 0.001, 0.1])
times = st.one_of(st.floats(-1e6, 1e9), st.integers(-1000, 10**9).map(float))
often = settings(derandomize=True, deadline=None, max_examples=200)


def exact_phase(t, period, shift):
    """((t − s) mod τ)/τ without rounding, of the numbers as float64 holds them."""
    rest = (Fraction(t) - Fraction(shift)) % Fraction(period)
    return rest / Fraction(period)


def curves(t, period, shift, r, leak):
    """Phase and openness by numpy and by torch."""
    ours = curve.phase(t, period, shift), curve.openness(t, period, shift, r, leak)
    t, period, shift, r = (torch.tensor(v, dtype=FLOAT64) for v in (t, period, shift, r))
    phi = phase(t, period, shift)
    return [tuple(map(float, ours)), (float(phi), float(openness(phi, r, leak)))]


@often
@given(times, periods, st.floats(-1e3, 1e3), ratios, leaks)
def test_the_curve_is_its_closed_form(t, period, shift, r, leak):
    want = exact_phase(t, period, shift)
    for phi, k in curves(t, period, shift, r, leak):
        assert 0 <= phi < 1
        apart = abs(Fraction(phi) - want)
        assert min(apart, 1 - apart) <= 2**-51 * (1 + abs(t - shift) / period)
        if phi < r / 2:
            assert k == 2 * phi / r
        else:
            assert k == (2 - 2 * phi / r if phi < r else leak * phi)


def test_both_say_the_same_where_the_modulo_wraps():
    for t in (-1e-20, -1e-9, 0.0, 15.0, 30.0, 1e9, -15.0):
        (a, _), (b, _) = curves(t, 15.0, 0.0, 0.4, 0.0)
        assert a == b
    assert curve.phase(-1e-20, 15.0) == 0


@often
@given(periods, ratios, st.floats(-1, 1), leaks)
def test_mean_openness_and_open_share(period, r, shift, leak):
    n = 20_000
    t = period * (np.arange(n) + 0.5) / n
    k = curve.openness(t, period, shift * period, r, leak)
    assert k.mean() == pytest.approx(curve.mean_openness(r, leak), rel=2e-3, abs=2 / n)
    if not leak:
        assert np.mean(k > 0) == pytest.approx(curve.open_share(r), abs=2 / n)
        assert np.mean(k == 0) * period == pytest.approx(curve.closed_time(period, r), abs=2 / n * period)


@often
@given(times, periods, st.floats(-1e3, 1e3), ratios, leaks)
def test_slopes_are_autograds(t, period, shift, r, leak):
    given_ = [torch.tensor(v, dtype=FLOAT64, requires_grad=True) for v in (t, period, shift, r)]
    phi = phase(*given_[:3])
    k = openness(phi, given_[3], leak)
    dt, dperiod, dshift, dr = torch.autograd.grad(k, given_, allow_unused=True, materialize_grads=True)
    opening, closing, closed = curve.slopes(period, r, leak)
    phi = float(phi.detach())
    slope = opening if phi < r / 2 else closing if phi < r else closed
    assert float(dt) == pytest.approx(slope)
    assert float(dshift) == pytest.approx(-slope)
    assert float(dperiod) == pytest.approx(-slope * (t - shift) / period, rel=1e-6, abs=4 * abs(slope))
    assert float(dr) == pytest.approx({opening: -1, closing: 1, closed: 0}[slope] * 2 * phi / r**2)


@pytest.mark.parametrize(
    ("t", "slope"), [(0.0, 1 / 4), (2.0, 1 / 4), (4.0, -1 / 4), (8.0, 0.01 / 16), (16.0, 1 / 4)]
)
def test_at_a_kink_the_part_that_begins_there_counts(t, slope):
    """τ = 16, r = ½: kinks at 0, 4 and 8."""
    t = torch.tensor(t, dtype=FLOAT64, requires_grad=True)
    period, shift, r = (torch.tensor(v, dtype=FLOAT64) for v in (16.0, 0.0, 0.5))
    openness(phase(t, period, shift), r, 0.01).backward()
    assert float(t.grad) == slope


@pytest.mark.parametrize(
    ("cycle", "phi", "slope", "by_ratio"),
    [(0, 0.0, 1 / 4, 0.0), (3, 0.0, 1 / 4, 0.0), (-2, 0.25, -1 / 4, 2.0), (5, 0.5, 0.01 / 16, 0.0)],
)
def test_at_a_kink_every_parameter_has_the_slope_of_that_part(cycle, phi, slope, by_ratio):
    """τ = 16, s = 3, r = ½: φ = 0 opens, φ = ¼ begins to close, φ = ½ is closed."""
    t = 3.0 + 16 * (cycle + phi)
    period, shift, r = (torch.tensor(v, dtype=FLOAT64, requires_grad=True) for v in (16.0, 3.0, 0.5))
    openness(phase(torch.tensor(t, dtype=FLOAT64), period, shift), r, 0.01).backward()
    assert float(shift.grad) == -slope
    assert float(period.grad) == -slope * (t - 3) / 16
    assert float(r.grad) == by_ratio


@often
@given(st.floats(0, 6).map(lambda e: 10.0**e), ratios, st.floats(-1e9, 1e9), st.floats(-1, 1))
def test_mean_openness_is_half_the_ratio_at_any_time(period, r, start, shift):
    """The gate that trains, a cycle from t = start on; its ends are whole cycles apart up to rounding."""
    n = 20_000
    t = start + period * (torch.arange(n, dtype=FLOAT64) + 0.5) / n
    period, shift, ratio = (torch.tensor(v, dtype=FLOAT64) for v in (period, shift, r))
    k = openness(phase(t, period, shift), ratio)
    assert float(k.mean()) == pytest.approx(r / 2, rel=2e-3, abs=2 / n)
    assert float((k > 0).double().mean()) == pytest.approx(r, abs=4 / n)


def gated(cell, period, shift, r, leak=0.0, seed=0):
    """A gate and its parameters in float64 with R = 1, the clocks set by hand."""
    gate = TimeGate(cell, leak)
    g = torch.Generator().manual_seed(seed)
    p = {n: torch.randn(s, generator=g, dtype=FLOAT64) / 2 for n, s in gate.parameter_shapes().items()}
    H = cell.hidden_size
    clocks = clock_parameters(*(np.broadcast_to(v, (H,)).astype(float) for v in (period, shift, r)))
    p |= {name: torch.from_numpy(value.copy()) for name, value in clocks.items()}
    return gate, {name: value.unsqueeze(0) for name, value in p.items()}


def noise(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=FLOAT64)


ALL = [name for name in CELLS if not name.startswith("phased")]  # no gate goes around a gate


@pytest.mark.parametrize("name", ALL)
def test_gradients_of_weights_and_clocks(name):
    cell = CELLS.resolve(name)(2, 3)
    gate, p = gated(cell, [5.0, 7.3, 11.9], [0.31, -1.7, 40.2], [0.6, 0.35, 0.9], leak=0.05)
    x, names = noise(1, 6, 2, 2), list(p)
    when = torch.tensor([[[0.4, 1.1], [2.3, 2.0], [3.3, 3.9], [1.7, 6.2], [8.8, 9.1], [20.3, 30.7]]]).double()

    def call(*values):
        return unroll(gate, dict(zip(names, values, strict=True)), x, times=when).outputs

    assert torch.autograd.gradcheck(call, [p[n].requires_grad_() for n in names])


@pytest.mark.parametrize("name", ALL)
def test_always_open_is_the_plain_cell(name):
    cell = CELLS.resolve(name)(2, 3)
    gate, p = gated(cell, 1e12, -5e11, 1.0)
    plain = {n: p[n] for n in cell.parameter_shapes()}
    x = noise(1, 20, 4, 2)
    got, want = unroll(gate, p, x), unroll(cell, plain, x)
    for a, b in zip((got.outputs, *got.state), (want.outputs, *want.state), strict=True):
        assert torch.allclose(a, b, atol=1e-9)


@pytest.mark.parametrize("name", ALL)
def test_always_closed_keeps_the_state_bitwise(name):
    cell = CELLS.resolve(name)(2, 3)
    gate, p = gated(cell, 1e6, -5e5, 0.1)
    state = tuple(noise(1, 4, 3) * 10**k for k in range(len(cell.states)))
    made = unroll(gate, p, noise(1, 50, 4, 2), state, return_states=True)
    for name, part in zip(cell.states, state, strict=True):
        assert all(torch.equal(made.states[name][:, t], part) for t in range(50))


def test_open_at_the_peak_is_the_plain_cell_bitwise():
    cell = LSTM(2, 3)
    gate, p = gated(cell, 1.0, -0.25, 0.5)
    mine = {name: value[0] for name, value in p.items()}
    x, state = noise(4, 2), (noise(4, 3), noise(4, 3))
    for got, want in zip(
        gate.step(mine, x, state, torch.tensor(3.0)), cell.step(mine, x, state), strict=True
    ):
        assert torch.equal(got, want)


class Forgets(LSTM):
    """An LSTM whose candidate state is zero, so that only the leak acts."""

    def step(self, p, x, state, time=None):
        return tuple(torch.zeros_like(s) for s in state)


def test_with_a_leak_a_closed_state_decays_by_one_minus_leak_phase():
    gate, p = gated(Forgets(2, 3), 1000.0, -400.0, 0.05, leak=0.01)
    start = (noise(1, 4, 3), noise(1, 4, 3))
    made = unroll(gate, p, noise(1, 500, 4, 2), start)
    left = np.prod(1 - 0.01 * (np.arange(500) + 400) / 1000)
    assert torch.allclose(made.state[1], start[1] * left, rtol=1e-12)
    kept = unroll(gate.in_evaluation(), p, noise(1, 500, 4, 2), start)
    assert torch.equal(kept.state[1], start[1])
    assert gate.leak == 0.01


def test_default_times_count_from_zero_and_rows_have_their_own():
    gate, p = gated(PeepholeLSTM(2, 3), [3.0, 5.0, 9.0], [0.2, 1.0, 4.0], 0.7)
    x = noise(1, 12, 4, 2)
    counted = unroll(gate, p, x).outputs
    assert torch.equal(counted, unroll(gate, p, x, times=torch.arange(12)).outputs)
    rows = torch.arange(12.0).view(1, 12, 1).expand(1, 12, 4)
    assert torch.allclose(counted, unroll(gate, p, x, times=rows).outputs, atol=1e-14)
    late = rows + torch.tensor([0.0, 1.0, 0.0, 0.0])
    moved = unroll(gate, p, x, times=late).outputs
    assert torch.allclose(moved[:, :, [0, 2, 3]], counted[:, :, [0, 2, 3]], atol=1e-14)
    assert not torch.allclose(moved[:, :, 1], counted[:, :, 1])


def test_times_of_rows_do_not_slip_onto_units():
    """B = H: a (B,) of times must not be broadcast along H."""
    gate, p = gated(LSTM(2, 3), [3.0, 5.0, 9.0], 0.0, 0.7)
    k = gate.openness({n: v[0] for n, v in p.items()}, torch.tensor([1.0, 2.0, 4.0]))
    want = curve.openness(np.array([[1.0], [2.0], [4.0]]), np.array([3.0, 5.0, 9.0]), 0.0, 0.7)
    assert np.allclose(k.numpy(), want)
    with pytest.raises(ShapeError, match="time has shape"):
        gate.openness(p, torch.zeros(2, 3))


def test_time_may_run_backwards():
    gate, p = gated(LSTM(2, 3), [3.0, 5.0, 9.0], 0.0, 0.7)
    assert (
        unroll(gate, p, noise(1, 4, 1, 2), times=torch.tensor([9.0, 3.0, 4.0, -7.0])).outputs.isfinite().all()
    )


@pytest.mark.parametrize(
    ("when", "error", "words"),
    [
        (torch.tensor([0.0, math.nan]), ArgumentError, "NaN or infinity"),
        (torch.tensor([0.0, math.inf]), ArgumentError, "NaN or infinity"),
        (torch.tensor([0.0, 2.0**24 + 2]), ArgumentError, "float64"),
        (torch.tensor([0.0, 3000.0], dtype=torch.float16), ArgumentError, "up to 2048 only"),
        (torch.tensor([0, 2**60]), ArgumentError, "up to 9007199254740992 only"),
        (torch.tensor([True, False]), ShapeError, "bool"),
        (torch.tensor([0.0]), ShapeError, r"expected \(2,\)"),
    ],
)
def test_bad_times_are_refused_with_a_sentence(when, error, words):
    gate, p = gated(LSTM(2, 3), 3.0, 0.0, 0.7)
    with pytest.raises(error, match=words):
        unroll(gate, p, noise(1, 2, 4, 2), times=when)


def test_float32_times_up_to_two_to_the_24_are_read():
    gate, p = gated(LSTM(2, 3), 3.0, 0.0, 0.7)
    for when in (
        torch.tensor([0.0, 2.0**24]),
        torch.tensor([0.0, 1e9], dtype=FLOAT64),
        torch.tensor([0, 10**9]),
    ):
        assert unroll(gate, p, noise(1, 2, 4, 2), times=when).outputs.isfinite().all()


def test_a_step_needs_its_time():
    gate, p = gated(LSTM(2, 3), 3.0, 0.0, 0.7)
    with pytest.raises(ArgumentError, match="needs the time"):
        gate.step({n: v[0] for n, v in p.items()}, noise(4, 2), (noise(4, 3), noise(4, 3)))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: TimeGate(TimeGate(LSTM(1, 1))), "clock already"),
        (lambda: TimeGate("lstm"), "expected an instance of a Cell"),
        (lambda: TimeGate(LSTM(1, 1), leak=True), "leak True"),
        (lambda: TimeGate(LSTM(1, 1), initial=LogUniform), "expected a scheme"),
        (lambda: LogUniform(high="9"), "expected a positive number"),
        (lambda: TimeGate(LSTM(1, 1), leak=-0.1), "leak"),
        (lambda: LogUniform(low=0.0), "period 0"),
        (lambda: LogUniform(low=5.0, high=2.0), "shortest first"),
        (lambda: LogUniform(open_ratio=1.2), "open ratio 1.2"),
        (lambda: FirstEvent(window=(4.0, 1.0)), "shortest first"),
        (lambda: clock_parameters([-3.0], [0.0], [0.5]), "period -3"),
        (lambda: curve.openness(0.0, 15.0, 0.0, 0.0), "open ratio 0"),
        (lambda: curve.openness(0.0, 15.0, math.inf), "shift inf"),
    ],
)
def test_impossible_gates_are_refused(make, words):
    with pytest.raises(ArgumentError, match=words):
        make()


def test_clocks_survive_their_parametrisation():
    period, shift, r = np.array([1e-3, 15.0, 1e6]), np.array([-4.0, 0.0, 1e3]), np.array([0.01, 0.4, 1.0])
    p = {name: torch.from_numpy(v) for name, v in clock_parameters(period, shift, r).items()}
    for got, want in zip(TimeGate(LSTM(1, 3)).clocks_of(p), (period, shift, r), strict=True):
        assert np.allclose(got.numpy(), want, rtol=1e-14, atol=0)


def test_log_uniform_periods_and_uniform_shifts():
    period, shift, r = LogUniform(2.0, 200.0, 0.1).draw(stream(0, "test"), 20_000)
    assert np.log(period).mean() == pytest.approx(math.log(20), abs=0.03)
    assert period.min() >= 2
    assert period.max() <= 200
    assert (shift / period).mean() == pytest.approx(0.5, abs=0.01)
    assert (r == 0.1).all()


def test_first_event_peaks_at_the_first_step():
    period, shift, r = FirstEvent(2.0, 4000.0, first=7.0).draw(stream(0, "test"), 5000)
    opening = r * period
    assert opening.min() >= 1
    assert opening.max() <= 8
    assert np.all(opening <= period * (1 + 1e-12))
    assert np.allclose(curve.openness(7.0, period, shift, r), 1)
    assert np.all(curve.openness(7.0 - opening * 0.499, period, shift, r) < 0.01)


def test_initial_parameters_hold_the_schemes_clocks():
    gate = TimeGate(PeepholeLSTM(1, 64, biases=1), initial=FirstEvent(2.0, 400.0))
    values = initial_parameters(gate, seed=3, bias="forget_one")
    assert set(values) == set(gate.parameter_shapes())
    assert all(
        values[n].shape == s and values[n].dtype == np.float32 for n, s in gate.parameter_shapes().items()
    )
    k = gate.in_evaluation().openness({n: torch.from_numpy(v) for n, v in values.items()}, torch.tensor(0.0))
    assert k.min() > 0.999
    plain = initial_parameters(gate.cell, seed=3, bias="forget_one")
    assert all(np.array_equal(plain[n], values[n]) for n in plain)


def test_peepholes_of_zero_are_an_lstm_and_others_are_not():
    ours, plain = PeepholeLSTM(2, 3), LSTM(2, 3)
    p = {n: noise(*s) for n, s in plain.parameter_shapes().items()}
    x, state = noise(4, 2), (noise(4, 3), noise(4, 3))
    zero = p | {"peephole": torch.zeros(9, dtype=FLOAT64)}
    for got, want in zip(ours.step(zero, x, state), plain.step(p, x, state), strict=True):
        assert torch.equal(got, want)


def test_peepholes_by_hand():
    """One unit: i and f see the old context, o the new one."""
    p = {n: torch.zeros(s, dtype=FLOAT64) for n, s in PeepholeLSTM(1, 1).parameter_shapes().items()}
    p["peephole"] = torch.tensor([1.0, 2.0, 3.0], dtype=FLOAT64)
    p["weight_ih"] = torch.tensor([[0.0], [0.0], [1.0], [0.0]], dtype=FLOAT64)
    x, c = 0.5, -0.8
    state = (torch.zeros(1, 1, dtype=FLOAT64), torch.full((1, 1), c, dtype=FLOAT64))
    h1, c1 = PeepholeLSTM(1, 1).step(p, torch.full((1, 1), x, dtype=FLOAT64), state)

    def sigmoid(z):
        return 1 / (1 + math.exp(-z))

    new = sigmoid(2 * c) * c + sigmoid(c) * math.tanh(x)
    assert float(c1) == pytest.approx(new)
    assert float(h1) == pytest.approx(sigmoid(3 * new) * math.tanh(new))


def test_a_resized_copy_leaves_the_gate_alone():
    import copy

    gate = TimeGate(LSTM(2, 3))
    upper = copy.copy(gate)
    upper.input_size = 6
    assert upper.parameter_shapes()["weight_ih"] == (12, 6)
    assert gate.parameter_shapes()["weight_ih"] == (12, 2)
