"""What our layers can beyond torch.nn's: lengths, resets, states, gates, replicas, initialisations."""

import pytest
import torch
from layer_cases import NAMES, close, parts, states_for

import memspan
from memspan.cells.lstm import equations as lstm
from memspan.cells.peephole_lstm.equations import PeepholeLSTM
from memspan.cells.time_gate.equations import TimeGate
from memspan.errors import ArgumentError, KernelRefusal, UnknownNameError
from memspan.layers import Recurrent

BIG = {"num_layers": 2, "bidirectional": True}
KERNELS = pytest.mark.parametrize("kernel", ["cpu", "reference"])
ANY = pytest.mark.parametrize("name", NAMES)


def layer_of(name, kernel, **options):
    torch.manual_seed(0)
    return getattr(memspan, name)(3, 5, kernel=kernel, **options)


@ANY
@KERNELS
def test_no_steps_return_an_empty_output_and_the_initial_state(name, kernel):
    layer = layer_of(name, kernel, **BIG)
    hx = states_for(layer, (4,))
    output, state = layer(torch.zeros(0, 4, 3), hx)
    assert output.shape == (0, 4, 10)
    for mine, given in zip(parts(state), parts(hx), strict=True):
        assert torch.equal(mine, given)
    assert layer(torch.zeros(0, 3))[0].shape == (0, 10)
    assert layer(torch.zeros(4, 0, 3))[0].shape == (4, 0, 10)


@ANY
@KERNELS
def test_a_row_of_no_steps_returns_its_initial_state(name, kernel):
    layer, x = layer_of(name, kernel, **BIG), torch.randn(6, 4, 3)
    hx, lengths = states_for(layer, (4,)), [6, 0, 3, 0]
    output, state = layer(x, hx, lengths=lengths)
    for b, n in enumerate(lengths):
        alone = tuple(h[:, b] for h in parts(hx))
        row, last = layer(x[:n, b], alone if len(alone) > 1 else alone[0])
        close(output[:n, b], row)
        assert not output[n:, b].any()
        for mine, wanted in zip(parts(state), parts(last), strict=True):
            close(mine[:, b], wanted)


@ANY
@KERNELS
def test_what_lies_past_the_end_is_not_looked_at(name, kernel):
    layer, x, lengths = layer_of(name, kernel, **BIG), torch.randn(6, 4, 3), [6, 0, 3, 2]
    poisoned = x.clone()
    for b, n in enumerate(lengths):
        poisoned[n:, b] = float("nan")
    poisoned.requires_grad_()
    for mine, wanted in zip(*(layer(v, lengths=lengths) for v in (poisoned, x)), strict=True):
        for a, b in zip(parts(mine), parts(wanted), strict=True):
            assert torch.equal(a, b)
    layer(poisoned, lengths=lengths)[0].sum().backward()
    assert all(p.grad.isfinite().all() for p in [poisoned, *layer.parameters()])


@ANY
@KERNELS
def test_lengths_as_list_or_tensor_of_any_whole_dtype(name, kernel):
    layer, x = layer_of(name, kernel), torch.randn(6, 4, 3)
    wanted = layer(x, lengths=[6, 0, 3, 2])[0]
    for dtype in (torch.int64, torch.int32, torch.uint8):
        assert torch.equal(layer(x, lengths=torch.tensor([6, 0, 3, 2], dtype=dtype))[0], wanted)


@ANY
@KERNELS
def test_a_reset_makes_the_state_zero_before_its_step_in_both_directions(name, kernel):
    layer, x = layer_of(name, kernel, bidirectional=True), torch.randn(7, 4, 3)
    resets = torch.zeros(7, 4, dtype=torch.bool)
    resets[2, 1] = resets[5, 1] = resets[0, 3] = True
    hx = states_for(layer, (4,))
    output, _ = layer(x, hx, resets=resets)
    plain = layer(x, hx)[0]
    close(output[:, [0, 2]], plain[:, [0, 2]])
    forward = torch.cat([layer(x[a:b, 1])[0][:, :5] for a, b in ((2, 5), (5, 7))])
    close(output[2:, 1, :5], forward)  # the forward direction begins anew with steps 2 and 5
    backward = torch.cat([layer(x[a:b, 1])[0][:, 5:] for a, b in ((0, 3), (3, 6))])
    close(output[:6, 1, 5:], backward)  # the reverse direction begins anew with steps 5 and 2
    close(output[:, 3, :5], layer(x[:, 3])[0][:, :5])  # at step 0 the given state is forgotten


@ANY
@KERNELS
def test_a_pair_of_resets_keeps_episodes_apart(name, kernel):
    layer, x = layer_of(name, kernel, **BIG), torch.randn(7, 4, 3)
    starts = torch.zeros(7, 4, dtype=torch.bool)
    starts[3] = True
    ends = starts.roll(-1, 0)  # an episode ends where the next step starts one
    output = layer(x, resets=(starts, ends))[0]
    close(output, torch.cat([layer(x[:3])[0], layer(x[3:])[0]]))


@ANY
@KERNELS
def test_resets_and_lengths_together(name, kernel):
    layer, x = layer_of(name, kernel, batch_first=True, **BIG), torch.randn(4, 7, 3)
    resets, lengths = torch.rand(4, 7) < 0.3, [7, 0, 4, 2]
    output = layer(x, resets=resets, lengths=lengths)[0]
    for b, n in enumerate(lengths):
        close(output[b, :n], layer(x[b, :n], resets=resets[b, :n])[0])


@ANY
@KERNELS
@pytest.mark.parametrize("batch_first", [False, True])
def test_states_are_those_a_shorter_call_ends_with(name, kernel, batch_first):
    layer, x = layer_of(name, kernel, batch_first=batch_first, **BIG), torch.randn(6, 4, 3)
    states = layer(x.transpose(0, 1) if batch_first else x, return_states=True)[2]
    assert set(states) == set(layer.cell.states)
    assert all(value.shape == (4, 6, 4, 5) for value in states.values())
    one = layer_of(name, kernel)
    states = one(x, return_states=True)[2]
    for value, final in zip(states.values(), parts(one(x[:3])[1]), strict=True):
        close(value[:, 2], final)


@ANY
def test_gates_rebuild_the_states(name):
    layer, x = layer_of(name, "auto", **BIG), torch.randn(6, 4, 3)
    output, _, states, gates = layer(x, lengths=[6, 0, 3, 2], return_states=True, return_gates=True)
    assert set(gates) == set(layer.cell.gates)
    assert all(value.shape == (4, 6, 4, 5) for value in gates.values())
    close(torch.cat(list(states["h"][2:]), -1), output)
    if name == "LSTM":
        close(states["h"], gates["o"] * states["c"].tanh())
    with pytest.raises(KernelRefusal, match="gates are returned by the reference only"):
        layer_of(name, "cpu")(x, return_gates=True)


def test_unbatched_states_and_gates_have_no_batch():
    _, _, states, gates = memspan.GRU(3, 5, **BIG)(torch.randn(6, 3), return_states=True, return_gates=True)
    assert states["h"].shape == gates["z"].shape == (4, 6, 5)


@ANY
@KERNELS
def test_replicas_are_layers_side_by_side(name, kernel):
    pack = layer_of(name, kernel, replicas=2, batch_first=True, **BIG)
    x, lengths = torch.randn(2, 4, 6, 3), [[6, 0, 3, 2], [1, 2, 3, 4]]
    resets = torch.rand(2, 4, 6) < 0.2
    hx = tuple(torch.randn(2, 4, 4, 5) for _ in pack.cell.states)
    given = hx if len(hx) > 1 else hx[0]
    output, state, states = pack(x, given, lengths=lengths, resets=resets, return_states=True)
    torch.manual_seed(0)
    for r in range(2):
        layer = getattr(memspan, name)(3, 5, kernel=kernel, batch_first=True, **BIG)
        assert all(torch.equal(v[r], layer.state_dict()[k]) for k, v in pack.state_dict().items())
        own = tuple(h[r] for h in hx)
        wanted = layer(
            x[r], own if len(own) > 1 else own[0], lengths=lengths[r], resets=resets[r], return_states=True
        )
        close(output[r], wanted[0])
        for mine, other in zip(parts(state), parts(wanted[1]), strict=True):
            close(mine[r], other)
        close(states["h"][r], wanted[2]["h"])
    assert pack(x[:, 0])[0].shape == (2, 6, 10)  # without a batch


@ANY
@KERNELS
def test_a_trainable_initial_state(name, kernel):
    layer, x = layer_of(name, kernel, trainable_state=True, **BIG), torch.randn(6, 4, 3)
    plain = layer_of(name, kernel, **BIG)
    close(layer(x)[0], plain(x)[0])  # zero at first
    for value in (getattr(layer, f"initial_{n}") for n in layer.cell.states):
        torch.nn.init.normal_(value)
    own = tuple(getattr(layer, f"initial_{n}")[:, None].repeat(1, 4, 1) for n in layer.cell.states)
    close(layer(x)[0], plain(x, own if len(own) > 1 else own[0])[0])
    layer(x)[0].sum().backward()
    assert layer.initial_h.grad.shape == (4, 5)
    assert layer.initial_h.grad.abs().sum() > 0


def test_initialisations_are_reproducible_and_named():
    for init in ("xavier_normal", "xavier_uniform", "orthogonal", "identity"):
        torch.manual_seed(4)
        first = memspan.LSTM(5, 5, init=init, forget_bias=1.0)
        torch.manual_seed(4)
        second = memspan.LSTM(5, 5, init=init, forget_bias=1.0)
        assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
        assert torch.equal((first.bias_ih_l0 + first.bias_hh_l0)[5:10], torch.ones(5))
        assert not first.bias_ih_l0[:5].any()
    blocks = memspan.GRU(3, 5, init="orthogonal").weight_hh_l0.detach().chunk(3)
    assert all(torch.allclose(w @ w.T, torch.eye(5), atol=1e-5) for w in blocks)
    with pytest.raises(UnknownNameError, match="did you mean 'orthogonal'"):
        memspan.GRU(3, 5, init="orthogonel")
    with pytest.raises(ArgumentError, match="has no forget gate with a bias; use an LSTM"):
        memspan.GRU(3, 5, forget_bias=1.0)


def test_the_layer_says_its_kernel_and_why():
    assert memspan.GRU(3, 5).choice() == ("cpu", "float32 on the CPU")
    assert memspan.GRU(3, 5, kernel="reference").choice() == ("reference", "asked for")
    layer = memspan.GRU(3, 5, kernel="cpu", dtype=torch.float64)
    with pytest.raises(KernelRefusal, match="the dtype is float64"):
        layer(torch.zeros(6, 4, 3, dtype=torch.float64))


@pytest.mark.parametrize("times", ["none", "shared", "rows"])
def test_every_step_keeps_its_time_in_both_directions(times):
    """A gated layer, its reverse direction, ragged rows: the clock goes with the step, not with the turn."""
    cell = TimeGate(PeepholeLSTM(3, 5))
    layer = Recurrent(cell, bidirectional=True).double()
    x, n = torch.randn(6, 4, 3, dtype=torch.float64), [6, 0, 3, 2]
    clock = {"none": None, "shared": torch.rand(6).double() * 9, "rows": torch.rand(6, 4).double() * 9}[times]
    output = layer(x, lengths=n, times=clock)[0]
    single = Recurrent(cell).double()
    reverse = {k.removesuffix("_reverse"): v for k, v in layer.state_dict().items() if k.endswith("_reverse")}
    single.load_state_dict(reverse)
    for b, steps in enumerate(n):
        own = torch.arange(6).double() if clock is None else clock if clock.dim() == 1 else clock[:, b]
        turned = single(x[:steps, b].flip(0), times=own[:steps].flip(0))[0]
        close(output[:steps, b, 5:], turned.flip(0))


def test_the_leak_is_off_in_evaluation():
    layer = Recurrent(TimeGate(lstm.LSTM(3, 5), leak=0.5))
    x = torch.randn(6, 4, 3)
    training, evaluating = layer(x)[0], layer.eval()(x)[0]
    assert not torch.allclose(training, evaluating)
    tight = Recurrent(TimeGate(lstm.LSTM(3, 5), leak=0.0))
    tight.load_state_dict(layer.state_dict())
    assert torch.equal(evaluating, tight(x)[0])
