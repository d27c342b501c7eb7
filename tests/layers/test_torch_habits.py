"""What people rely on in torch.nn's layers holds in ours."""

import copy
import pickle
import re

import pytest
import torch
from layer_cases import NAMES, close, parts, states_for, twins
from torch.nn.utils.rnn import pack_sequence

import memspan
from memspan.errors import ArgumentError

BIG = {"num_layers": 2, "bidirectional": True}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("batch_first", [False, True])
def test_unbatched(name, batch_first):
    ours, theirs = twins(name, 3, 5, batch_first=batch_first, **BIG)
    x, hx = torch.randn(7, 3), states_for(theirs, ())
    for given in (None, hx):
        for mine, other in zip(ours(x, given), theirs(x, given), strict=True):
            for a, b in zip(parts(mine), parts(other), strict=True):
                close(a, b)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("enforce_sorted", [False, True])
def test_packed_order_and_states(name, enforce_sorted):
    ours, theirs = twins(name, 3, 5, **BIG)
    ends = [6, 4, 4, 1] if enforce_sorted else [1, 4, 6, 4]
    packed = pack_sequence([torch.randn(n, 3) for n in ends], enforce_sorted=enforce_sorted)
    hx = states_for(theirs, (4,))
    (mine, state), (other, wanted) = ours(packed, hx), theirs(packed, hx)
    close(mine.data, other.data)
    assert torch.equal(mine.batch_sizes, other.batch_sizes)
    for a, b in zip(mine[2:], other[2:], strict=True):
        assert (a is b is None) or torch.equal(a, b)
    for a, b in zip(parts(state), parts(wanted), strict=True):
        close(a, b)


@pytest.mark.parametrize("name", NAMES)
def test_dropout_is_torchs_between_layers_in_training_only(name):
    ours, theirs = twins(name, 3, 5, num_layers=3, dropout=0.4)
    x = torch.randn(7, 4, 3)
    made = []
    for layer in (ours, ours, theirs):
        torch.manual_seed(3)
        made.append(layer(x)[0])
    assert torch.equal(made[0], made[1])
    close(made[0], made[2])  # the very same units are dropped
    assert not torch.equal(ours(x)[0], ours(x)[0])
    close(ours.eval()(x)[0], theirs.eval()(x)[0])


def test_dropout_after_a_single_layer_is_told_as_in_torch():
    with pytest.warns(UserWarning, match="between layers only"):
        layer = memspan.GRU(3, 5, dropout=0.5)
    x = torch.randn(7, 4, 3)
    assert torch.equal(layer(x)[0], layer(x)[0])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("bias", [True, False])
def test_state_dicts_go_both_ways(name, bias):
    ours, theirs = twins(name, 3, 5, bias=bias, **BIG)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.reset_parameters()
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(7, 4, 3)
    close(ours(x)[0], theirs(x)[0])
    flat = [value for layer in ours.all_weights for value in layer]
    assert all(a is b for a, b in zip(flat, ours.parameters(), strict=True))


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
@pytest.mark.parametrize("name", [*NAMES, "LSTMCell"])
def test_copies(name, copied):
    layer = getattr(memspan, name)(3, 5)
    twin, x = copied(layer), torch.randn(4, 3)
    assert all(a is not b for a, b in zip(layer.parameters(), twin.parameters(), strict=True))
    for a, b in zip(parts(layer(x)), parts(twin(x)), strict=True):
        for one, other in zip(parts(a), parts(b), strict=True):
            assert torch.equal(one, other)


def test_state_dict_hooks():
    layer, seen = memspan.GRU(3, 5), []
    layer.register_state_dict_post_hook(lambda module, state, prefix, meta: seen.append(sorted(state)))
    layer.register_load_state_dict_pre_hook(lambda module, state, *rest: seen.append(len(state)))
    layer.load_state_dict(layer.state_dict())
    assert seen == [["bias_hh_l0", "bias_ih_l0", "weight_hh_l0", "weight_ih_l0"], 4]


def test_extra_repr_and_small_habits():
    layer = memspan.LSTM(3, 5, 2, batch_first=True, forget_bias=1.0)
    assert repr(layer) == "LSTM(3, 5, num_layers=2, batch_first=True, forget_bias=1.0)"
    assert repr(memspan.GRUCell(3, 5, bias=False)) == "GRUCell(3, 5, bias=False)"
    for cell in (memspan.RNNCell, torch.nn.RNNCell):
        assert repr(cell(3, 5, nonlinearity="relu")) == "RNNCell(3, 5, nonlinearity=relu)"
        assert repr(cell(3, 5, bias=False)) == "RNNCell(3, 5, bias=False)"
    for name in ("RNN", "PhasedRNN", "PhasedRNNCell"):
        assert repr(getattr(memspan, name)(3, 5, nonlinearity="relu")) == f"{name}(3, 5, nonlinearity=relu)"
        assert repr(getattr(memspan, name)(3, 5)) == f"{name}(3, 5)"
    assert layer.flatten_parameters() is None
    assert (layer.input_size, layer.hidden_size, layer.proj_size, layer.dropout) == (3, 5, 0, 0.0)
    with pytest.raises(ArgumentError, match=r"proj_size=2: projections are not served; put an nn\.Linear"):
        memspan.LSTM(3, 5, proj_size=2)


def test_positional_signatures():
    memspan.RNN(3, 5, 2, "relu", True, True, 0.1, True, "cpu", torch.float64)
    memspan.GRU(3, 5, 2, True, True, 0.1, True, "cpu", torch.float64)
    memspan.LSTM(3, 5, 2, True, True, 0.1, True, 0, "cpu", torch.float64)
    memspan.RNNCell(3, 5, True, "relu", "cpu", torch.float64)
    memspan.GRUCell(3, 5, True, "cpu", torch.float64)
    memspan.LSTMCell(3, 5, True, "cpu", torch.float64)


def test_device_and_dtype():
    assert {p.dtype for p in memspan.LSTM(3, 5, dtype=torch.float64).parameters()} == {torch.float64}
    assert {p.device.type for p in memspan.LSTM(3, 5, device="meta").parameters()} == {"meta"}
    layer = memspan.LSTM(3, 5).double()
    assert layer.choice().kernel == "reference"
    assert layer(torch.randn(7, 4, 3, dtype=torch.float64))[0].dtype == torch.float64


def test_autocast_computes_in_the_weights_dtype():
    layer, x = memspan.LSTM(3, 5, 2), torch.randn(7, 4, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = layer(torch.nn.Linear(3, 3)(x), states_for(layer, (4,), torch.bfloat16))
    assert {part.dtype for part in (inside[0], *inside[1])} == {torch.float32}


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_as_large_as_h_changes_nothing(name):
    """The trap: something of size (H,) is broadcast along a batch of the same size."""
    layer, x = getattr(memspan, name)(3, 4, **BIG), torch.randn(7, 5, 3)
    whole = layer(x, lengths=[7, 2, 0, 5, 3], return_states=True)
    part = layer(x[:, :4], lengths=[7, 2, 0, 5], return_states=True)
    close(part[0], whole[0][:, :4])
    close(part[2]["h"], whole[2]["h"][:, :, :4])


SCRIPT = """
import torch
from torch import nn

torch.manual_seed(0)


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(8, 16, num_layers=2, batch_first=True, bidirectional=True, dropout=0.1)
        self.out = nn.Linear(32, 4)

    def forward(self, x):
        self.rnn.flatten_parameters()
        output, (h, c) = self.rnn(x)
        return self.out(output)


model = Tagger()
optimizer = torch.optim.Adam(model.parameters(), 1e-2)
x, y = torch.randn(6, 9, 8), torch.randint(4, (6, 9))
for step in range(8):
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(x).transpose(1, 2), y)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    print(f"{loss.item():.6f}")
"""


def test_a_script_written_for_torch_trains_unchanged(capsys):
    """sed s/nn.LSTM/memspan.LSTM/ and an import; the same seed gives the same losses."""
    losses = []
    for script in (SCRIPT, "import memspan" + re.sub(r"nn\.LSTM", "memspan.LSTM", SCRIPT)):
        exec(compile(script, "train.py", "exec"), {"__name__": "__main__"})
        losses.append(torch.tensor([float(word) for word in capsys.readouterr().out.split()]))
    assert losses[0][-1] < losses[0][0]
    assert torch.allclose(*losses, atol=1e-4)
