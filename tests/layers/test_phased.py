"""Layers on clocks: what they are, what times mean in every shape, what is learned, and refusals."""

import copy
import pickle

import numpy as np
import pytest
import torch
from layer_cases import close, parts

import memspan
from memspan.cells.gru.equations import GRU
from memspan.cells.peephole_lstm.equations import PeepholeLSTM
from memspan.cells.rnn.equations import RNN
from memspan.cells.time_gate import curve
from memspan.errors import ArgumentError, KernelRefusal, ShapeError, UnknownNameError
from memspan.layers.clocks import PARAMETERS

CELLS = {"PhasedRNN": RNN, "PhasedGRU": GRU, "PhasedLSTM": PeepholeLSTM}
ANY = pytest.mark.parametrize("name", CELLS)
BIG = {"num_layers": 2, "bidirectional": True}
FAST = {"periods": (2.0, 9.0), "open_ratio": 0.5}
T, B, D, H = 7, 4, 3, 5


def made(name, **options):
    torch.manual_seed(0)
    return getattr(memspan, name)(D, H, **FAST | options)


def same(a, b):
    """Two calls' outputs and last states are equal."""
    for mine, other in zip(a, b, strict=True):
        for x, y in zip(parts(mine), parts(other), strict=True):
            close(x, y)


@ANY
def test_it_is_a_layer_over_its_gated_cell(name):
    torch.manual_seed(0)
    twin = memspan.Recurrent(
        memspan.TimeGate(CELLS[name](D, H), initial=memspan.LogUniform(2.0, 9.0, 0.5)), **BIG
    )
    layer, x = made(name, **BIG), torch.randn(T, B, D)
    assert list(layer.state_dict()) == list(twin.state_dict())
    same(layer(x), twin(x))


@ANY
def test_torchs_weights_load_and_an_open_gate_is_torchs_layer(name):
    torch.manual_seed(0)
    theirs = getattr(torch.nn, name.removeprefix("Phased"))(D, H, **BIG)
    layer = getattr(memspan, name)(D, H, **BIG, initial=AlwaysOpen())
    missing, unexpected = layer.load_state_dict(theirs.state_dict(), strict=False)
    assert not unexpected
    assert {n.split("_l0")[0].split("_l1")[0] for n in missing} <= {*PARAMETERS.values(), "peephole"}
    for full, value in layer.named_parameters():
        if full.startswith("peephole"):
            torch.nn.init.zeros_(value)
    x = torch.randn(T, B, D)
    same(layer(x), theirs(x))


class AlwaysOpen:
    """A scheme: a period beyond every time, and its peak at the start."""

    def draw(self, generator, hidden):
        period = np.full(hidden, 1e12)
        return memspan.layers.phased.Clocks(period, -period / 2, np.ones(hidden))


class AlwaysClosed(AlwaysOpen):
    """A scheme: an opening that is far away."""

    def draw(self, generator, hidden):
        period = np.full(hidden, 1e12)
        return memspan.layers.phased.Clocks(period, -period / 2, np.full(hidden, 0.1))


@ANY
def test_a_closed_gate_keeps_the_state_bitwise_and_outputs_it(name):
    layer = made(name, periods=None, open_ratio=None, initial=AlwaysClosed(), leak=0)
    hx = tuple(torch.randn(1, B, H) for _ in layer.cell.states)
    output, last = layer(torch.randn(T, B, D), hx if len(hx) > 1 else hx[0])
    assert torch.equal(output, hx[0].expand(T, B, H))
    assert all(torch.equal(a, b) for a, b in zip(parts(last), hx, strict=True))


@ANY
def test_times_of_every_shape_say_the_same(name):
    layer, x = made(name, dtype=torch.float64, **BIG), torch.randn(T, B, D, dtype=torch.float64)
    clock = torch.rand(T, dtype=torch.float64).cumsum(0)
    whole = layer(x, times=clock)
    same(layer(x, times=clock[:, None].expand(T, B)), whole)
    first = made(name, dtype=torch.float64, batch_first=True, **BIG)
    output, hx = first(x.transpose(0, 1), times=clock.expand(B, T))
    same((output.transpose(0, 1), hx), whole)
    same(first(x.transpose(0, 1), times=clock), (output, hx))
    same(layer(x[:, 0], times=clock), [tuple(p[..., 0, :] for p in parts(v)) for v in whole])  # no batch
    same(layer(x), layer(x, times=torch.arange(T)))


@ANY
@pytest.mark.parametrize("batch_first", [False, True])
def test_with_equal_sizes_times_still_go_with_rows_and_steps(name, batch_first):
    """T = B = H: nothing slips onto another axis."""
    n = H
    layer = made(name, batch_first=batch_first, dtype=torch.float64)
    x, clock = torch.randn(n, n, D, dtype=torch.float64), torch.rand(n, n, dtype=torch.float64) * 9
    output = layer(x, times=clock)[0]
    for b in range(n):
        row, own = (x[b], clock[b]) if batch_first else (x[:, b], clock[:, b])
        close(output[b] if batch_first else output[:, b], layer(row, times=own)[0])


@ANY
def test_lengths_resets_and_what_lies_past_the_end(name):
    layer, x, lengths = made(name, **BIG), torch.randn(T, B, D), [T, 0, 3, 2]
    clock, resets = torch.rand(T, B, dtype=torch.float64).cumsum(0), torch.rand(T, B) < 0.3
    whole = layer(x, times=clock, lengths=lengths, resets=resets)
    for b, n in enumerate(lengths):
        alone = layer(x[:n, b], times=clock[:n, b], resets=resets[:n, b])
        close(whole[0][:n, b], alone[0])
        clock[n:, b] = float("nan")
    same(layer(x, times=clock, lengths=lengths, resets=resets), whole)
    with pytest.raises(ArgumentError, match="NaN or infinity"):
        layer(x, times=clock)


@ANY
def test_windows_and_streams_equal_the_whole(name):
    layer, x = made(name, num_layers=2, dtype=torch.float64).eval(), torch.randn(T, B, D, dtype=torch.float64)
    clock, lengths = torch.rand(T, B, dtype=torch.float64).cumsum(0), [T, 0, 3, 2]
    pieces = list(memspan.truncated(layer, x, 3, times=clock, lengths=lengths))
    close(torch.cat([output for output, _ in pieces]), layer(x, times=clock, lengths=lengths)[0])
    step = layer.stream()
    close(torch.stack([step(x[t], time=clock[t]) for t in range(T)]), layer(x, times=clock)[0])
    step = layer.stream()
    numbers = [0.5, 3, np.float64(7.25)]
    made_ = torch.stack([step(x[t], time=when) for t, when in enumerate(numbers)])
    close(made_, layer(x[:3], times=torch.tensor([0.5, 3.0, 7.25]))[0])


@ANY
def test_a_loop_of_steps_is_the_layer(name):
    layer, step = made(name), getattr(memspan, f"{name}Cell")(D, H, **FAST)
    step.load_state_dict({key.removesuffix("_l0"): value for key, value in layer.state_dict().items()})
    x, state = torch.randn(T, B, D), None
    clock = torch.rand(T, B, dtype=torch.float64).cumsum(0)
    for mode in (True, False):  # with the leak and without
        layer.train(mode), step.train(mode)
        outputs, state = [], None
        for t in range(T):
            state = step(x[t], state, time=clock[t])
            outputs.append(parts(state)[0])
        close(torch.stack(outputs), layer(x, times=clock)[0])


@ANY
def test_replicas_have_their_own_clocks_and_times(name):
    pack, x = made(name, replicas=2, **BIG), torch.randn(2, T, B, D)
    clock = torch.rand(2, T, B, dtype=torch.float64).cumsum(1)
    output = pack(x, times=clock)[0]
    assert pack.clocks().period.shape == (2, 4, H)
    for r in range(2):
        layer = made(name, **BIG)
        layer.load_state_dict({n: v[r] for n, v in pack.state_dict().items()})
        close(output[r], layer(x[r], times=clock[r])[0])
        assert np.array_equal(pack.clocks().period[r], layer.clocks().period)


@ANY
@pytest.mark.parametrize("form", ["", "Cell"])
@pytest.mark.parametrize("learned", [(), ("period",), ("open_ratio", "shift"), "shift"])
def test_each_part_of_a_clock_is_learned_or_frozen(name, form, learned):
    module = getattr(memspan, name + form)(D, H, learned=learned, open_ratio=0.9)
    x, when = torch.randn(*((T, B, D) if not form else (B, D))), torch.tensor(3.3)
    output = module(x)[0] if not form else parts(module(x, time=when))[0]
    before = module.clocks()
    output.square().sum().backward()
    torch.optim.SGD(module.parameters(), 1.0).step()
    for part, was, now in zip(PARAMETERS, before, module.clocks(), strict=True):
        assert (part in module.learned) == (not np.array_equal(was, now)), part
    assert set(module.learned) == ({learned} if isinstance(learned, str) else set(learned))


@ANY
@pytest.mark.parametrize("origin", [0.0, -50.0, 1e9])
@pytest.mark.parametrize("shape", [(T,), (T, B)])
def test_the_fused_path_reads_every_time_as_the_equations_do(name, origin, shape):
    layer, x = made(name, kernel="cpu"), torch.randn(T, B, D)
    twin = made(name, kernel="reference", dtype=torch.float64)
    twin.load_state_dict(layer.state_dict())
    clock = origin + torch.rand(shape, dtype=torch.float64).cumsum(0) * 3
    with torch.no_grad():
        close(layer(x, times=clock)[0], twin(x.double(), times=clock)[0].float(), 10)


def test_clocks_start_as_told():
    period, shift, ratio = memspan.PhasedGRU(D, 4000, periods=(5.0, 50.0), open_ratio=0.2).clocks()
    assert (period.min() >= 5 * (1 - 1e-6), period.max() <= 50 * (1 + 1e-6)) == (True, True)
    assert abs(np.log(period).mean() - np.log(5 * np.sqrt(10))) < 0.05
    assert ((shift >= 0) & (shift <= period)).all()
    assert np.allclose(ratio, 0.2)
    told = memspan.PhasedGRU(D, H, initial=memspan.FirstEvent(10.0, 100.0, first=4.0)).clocks()
    assert np.allclose(curve.openness(4.0, *told), 1, atol=1e-4)  # a clock is kept in float32
    usual = memspan.PhasedGRU(D, 4000).clocks()
    assert (usual.period.min() < 1.1, usual.period.max() > 900, usual.open_ratio[0, 0]) == (
        True,
        True,
        pytest.approx(0.05),
    )


@ANY
def test_evaluation_has_no_leak_and_training_has_the_papers(name):
    layer, x = made(name, periods=(50.0, 90.0)), torch.randn(T, B, D)
    tight = made(name, periods=(50.0, 90.0), leak=0)
    assert layer.cell.leak == 0.001
    assert not torch.equal(layer(x)[0], tight(x)[0])
    assert torch.equal(layer.eval()(x)[0], tight(x)[0])
    assert torch.equal(tight.eval()(x)[0], tight.train()(x)[0])


@ANY
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies(name, copied):
    layer, x = made(name, learned=("period",)), torch.randn(T, B, D)
    twin = copied(layer)
    same(twin(x), layer(x))
    assert [p.requires_grad for p in twin.parameters()] == [p.requires_grad for p in layer.parameters()]


def test_it_prints_what_is_not_usual():
    assert repr(memspan.PhasedLSTM(3, 5)) == "PhasedLSTM(3, 5)"
    told = repr(memspan.PhasedLSTM(3, 5, 2, periods=(1.0, 9.0), leak=0.0, learned=("shift",)))
    assert told.startswith("PhasedLSTM(3, 5, num_layers=2, initial=LogUniform(low=1.0, high=9.0")
    assert told.endswith("leak=0.0, learned=('shift',))")
    assert repr(memspan.PhasedRNNCell(3, 5, leak=0.5)) == "PhasedRNNCell(3, 5, leak=0.5)"


def test_positional_signatures_are_torchs():
    memspan.PhasedRNN(3, 5, 2, "relu", True, True, 0.1, True, "cpu", torch.float64)
    memspan.PhasedGRU(3, 5, 2, True, True, 0.1, True, "cpu", torch.float64)
    memspan.PhasedLSTM(3, 5, 2, True, True, 0.1, True, 0, "cpu", torch.float64, periods=(1, 9))
    memspan.PhasedRNNCell(3, 5, True, "relu", "cpu", torch.float64)
    memspan.PhasedGRUCell(3, 5, True, "cpu", torch.float64)
    memspan.PhasedLSTMCell(3, 5, True, "cpu", torch.float64)
    assert (memspan.PhasedLSTM(3, 5, forget_bias=1.0).bias_ih_l0[5:10] == 1).all()


WRONG = {
    "periods": ({"periods": 5}, ArgumentError, r"periods=5: expected the shortest and the longest"),
    "order": ({"periods": (9, 1)}, ArgumentError, "shortest first"),
    "period": ({"periods": (0, 1)}, ArgumentError, "period 0: expected a positive number"),
    "ratio": ({"open_ratio": 1.5}, ArgumentError, "open ratio 1.5: expected above 0 and at most 1"),
    "period's type": ({"periods": ("1", 9)}, ArgumentError, "expected a positive number"),
    "ratio's type": ({"open_ratio": "5%"}, ArgumentError, "open ratio '5%': expected above 0"),
    "scheme": ({"initial": "first_event"}, ArgumentError, "initial='first_event': expected a scheme"),
    "a scheme's class": ({"initial": memspan.FirstEvent}, ArgumentError, "FirstEvent'>: expected a scheme"),
    "leak": ({"leak": -0.1}, ArgumentError, "leak -0.1: expected a number in 0 … 1"),
    "leak's type": ({"leak": None}, ArgumentError, "leak None: expected a number"),
    "both": (
        {"periods": (1, 9), "initial": memspan.FirstEvent()}, ArgumentError, "sets every clock; leave periods"
    ),
    "learned": ({"learned": ("periods",)}, UnknownNameError, "'periods'; did you mean 'period'"),
    "learned's type": ({"learned": False}, ArgumentError, "learned=False: expected names among period"),
    "keyword": ({"period": (1, 9)}, TypeError, "period"),
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("form", ["PhasedLSTM", "PhasedGRUCell"])
def test_clocks_that_cannot_be_meant(form, wrong):
    options, error, words = WRONG[wrong]
    with pytest.raises(error, match=words):
        getattr(memspan, form)(3, 5, **options)


def test_proj_size_is_refused():
    with pytest.raises(ArgumentError, match="proj_size=2: projections are not served"):
        memspan.PhasedLSTM(3, 5, proj_size=2)


TIMES = {
    "NaN": (torch.full((T,), torch.nan), "NaN or infinity"),
    "infinite row": (torch.zeros(T, B).index_fill(1, torch.tensor(2), torch.inf), "NaN or infinity"),
    "float32": (torch.arange(T) + 2.0**24, "give times as torch.float64, or count from a later origin"),
    "of B": (torch.zeros(B), r"times have shape \(4,\); expected \(7,\) or \(7, 4\)"),
    "turned": (torch.zeros(B, T), r"expected \(7,\) or \(7, 4\)"),
    "one row for all": (torch.zeros(T, 1), r"shape \(7, 1\)"),
    "a column more": (torch.zeros(T, B, 1), r"shape \(7, 4, 1\)"),
    "of units": (torch.zeros(T, B, H), r"shape \(7, 4, 5\)"),
    "bool": (torch.zeros(T).bool(), "times have dtype torch.bool"),
    "complex": (torch.zeros(T, dtype=torch.complex64), "times have dtype torch.complex64"),
    "numpy": (np.zeros(T), "times are a ndarray; expected a Tensor"),
}


@pytest.mark.parametrize("wrong", TIMES)
def test_bad_times(wrong):
    times, words = TIMES[wrong]
    with pytest.raises(ArgumentError, match=words):
        memspan.PhasedLSTM(D, H)(torch.zeros(T, B, D), times=times)


STEPS = {
    "of units": (torch.zeros(H), r"time has shape \(5,\); expected \(\) or \(4,\); nothing is broadcast"),
    "one row": (torch.zeros(1), r"time has shape \(1,\)"),
    "words": ("now", "time is a str; expected a number or a Tensor"),
    "NaN": (float("nan"), "NaN or infinity"),
}


@pytest.mark.parametrize("wrong", STEPS)
def test_a_step_at_a_bad_time(wrong):
    time, words = STEPS[wrong]
    for step in (memspan.PhasedGRUCell(D, H), memspan.PhasedGRU(D, H).stream()):
        with pytest.raises(ShapeError if "shape" in words or "str" in words else ArgumentError, match=words):
            step(torch.zeros(B, D), time=time)
    with pytest.raises(ArgumentError, match="needs the time"):
        memspan.PhasedGRUCell(D, H)(torch.zeros(B, D))


def test_a_kernel_is_chosen_aloud():
    layer = memspan.PhasedLSTM(D, H, dtype=torch.float64)
    assert layer.choice().kernel == "reference"
    with pytest.raises(KernelRefusal, match="float64"):
        memspan.PhasedLSTM(D, H, kernel="cpu", dtype=torch.float64)(torch.zeros(T, B, D).double())
