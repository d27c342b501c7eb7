"""Truncated back-propagation and streams equal the call over the whole sequence."""

import pytest
import torch
from layer_cases import NAMES, close, parts, states_for

import memspan
from memspan.cells.lstm.equations import LSTM
from memspan.cells.time_gate.equations import TimeGate

ANY = pytest.mark.parametrize("name", NAMES)


def case(name, **options):
    torch.manual_seed(0)
    return getattr(memspan, name)(3, 5, num_layers=2, **options), torch.randn(7, 4, 3)


@ANY
@pytest.mark.parametrize("window", [1, 3, 7, 100])
def test_windows_equal_the_whole(name, window):
    layer, x = case(name)
    hx, lengths, resets = states_for(layer, (4,)), [7, 0, 3, 5], torch.rand(7, 4) < 0.2
    whole, last = layer(x, hx, lengths=lengths, resets=resets)
    pieces = list(memspan.truncated(layer, x, window, hx, lengths=lengths, resets=resets))
    assert len(pieces) == -(-7 // window)
    close(torch.cat([output for output, _ in pieces]), whole)
    for mine, wanted in zip(parts(pieces[-1][1]), parts(last), strict=True):
        close(mine, wanted)


@ANY
def test_gradients_stop_between_windows(name):
    layer, x = case(name)
    x.requires_grad_()
    outputs = [output for output, _ in memspan.truncated(layer, x, 3)]
    outputs[1].sum().backward()
    reached = x.grad.abs().sum((1, 2)) > 0
    assert reached.tolist() == [False] * 3 + [True] * 3 + [False]


@pytest.mark.parametrize("shape", [(2, 4, 7, 3), (2, 7, 3)])
def test_windows_with_replicas_and_batch_first(shape):
    layer, _ = case("GRU", replicas=2, batch_first=True)
    x = torch.randn(shape)
    pieces = [output for output, _ in memspan.truncated(layer, x, 3)]
    close(torch.cat(pieces, -2), layer(x)[0])


def test_detached():
    h = torch.zeros(1, 4, 5, requires_grad=True) * 2
    assert not memspan.detached(h).requires_grad
    assert not any(part.requires_grad for part in memspan.detached((h, h)))


@ANY
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("shape", [(7, 4, 3), (7, 3)])
def test_a_stream_equals_the_call(name, batch_first, shape):
    layer, _ = case(name, batch_first=batch_first)
    x = torch.randn(shape)
    step = memspan.Stream(layer)
    outputs = torch.stack([step(now) for now in x])
    assert not outputs.requires_grad
    turned = batch_first and len(shape) == 3
    wanted, last = layer(x.transpose(0, 1) if turned else x)
    close(outputs, wanted.transpose(0, 1) if turned else wanted)
    for mine, other in zip(parts(step.state), parts(last), strict=True):
        close(mine, other)


def test_a_stream_with_replicas_resets_and_a_given_state():
    layer, _ = case("LSTM", replicas=2)
    x, hx = torch.randn(2, 7, 4, 3), (torch.randn(2, 2, 4, 5), torch.randn(2, 2, 4, 5))
    resets = torch.rand(2, 7, 4) < 0.3
    step = layer.stream(hx)
    outputs = [step(x[:, t], reset=resets[:, t]) for t in range(7)]
    close(torch.stack(outputs, 1), layer(x, hx, resets=resets)[0])


@pytest.mark.parametrize("times", ["counted", "shared", "rows"])
def test_a_clock_goes_on_from_window_to_window_and_step_to_step(times):
    layer = memspan.Recurrent(TimeGate(LSTM(3, 5)), 2, dtype=torch.float64)
    x = torch.randn(7, 4, 3, dtype=torch.float64)
    clock = {"counted": None, "shared": torch.rand(7).double() * 9, "rows": torch.rand(7, 4).double() * 9}[
        times
    ]
    whole = layer(x, times=clock)[0]
    close(torch.cat([output for output, _ in memspan.truncated(layer, x, 3, times=clock)]), whole)
    step = memspan.Stream(layer)
    close(torch.stack([step(x[t], time=None if clock is None else clock[t]) for t in range(7)]), whole)
