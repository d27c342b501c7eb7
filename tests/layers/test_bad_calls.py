"""Bad input is refused by an error of our tree that says what was given, what was expected, what to do."""

import numpy as np
import pytest
import torch
from layer_cases import NAMES
from torch.nn.utils.rnn import pack_sequence

import memspan
from memspan.errors import ArgumentError, MemspanError, ShapeError

T, B, D, H = 6, 4, 3, 5
X = torch.zeros(T, B, D)
NAN = torch.full((T,), float("nan"))

CALLS = {  # what is wrong: (layer's options, arguments, keywords, words of the message)
    "rank 1": ({}, (X[0, 0],), {}, r"input has 1 axes, shape \(3,\); expected \(T, B, 3\), or \(T, 3\)"),
    "rank 4": ({"batch_first": True}, (X[None],), {}, r"input has 4 axes.*expected \(B, T, 3\)"),
    "features": ({}, (torch.zeros(T, B, 4),), {}, "input has 4 features.*expected input_size 3"),
    "dtype": ({}, (X.double(),), {}, r"input has dtype torch.float64, the weights torch.float32; convert"),
    "symbols": ({}, (X.long(),), {}, r"input has dtype torch.int64.*one_hot"),
    "device": ({}, (X.to("meta"),), {}, r"input is on meta, the weights on cpu; move one"),
    "no tensor": ({}, ([[1.0]],), {}, "input is a list; expected a Tensor or a PackedSequence"),
    "replicas": ({"replicas": 2}, (X[None],), {}, "input has 1 replicas, not 2"),
    "hx batch": ({}, (X, torch.zeros(1, 3, H)), {}, r"hx: h_0 has shape \(1, 3, 5\); expected \(1, 4, 5\)"),
    "hx one row for all": ({}, (X, torch.zeros(1, 1, H)), {}, "nothing is broadcast"),
    "hx rank": ({}, (X[:, 0], torch.zeros(1, B, H)), {}, r"expected \(1, 5\)"),
    "hx width": ({}, (X, torch.zeros(1, B, H + 1)), {}, r"expected \(1, 4, 5\)"),
    "hx layers": ({"num_layers": 2}, (X, torch.zeros(1, B, H)), {}, r"expected \(2, 4, 5\)"),
    "hx dtype": ({}, (X, torch.zeros(1, B, H).double()), {}, "hx: h_0 has dtype torch.float64"),
    "hx parts": ({}, (X, (torch.zeros(1, B, H),)), {}, "hx is 1 parts; expected one tensor"),
    "lengths too long": ({}, (X,), {"lengths": [7, 1, 1, 1]}, "lengths span 1 … 7; expected 0 … T = 6"),
    "lengths negative": ({}, (X,), {"lengths": [6, -1, 1, 1]}, "lengths span -1 … 6"),
    "lengths too few": ({}, (X,), {"lengths": [6, 1]}, r"lengths has shape \(2,\); expected \(4,\)"),
    "lengths of T": ({}, (X,), {"lengths": torch.ones(T).long()}, r"expected \(4,\)"),
    "lengths a number": ({}, (X,), {"lengths": 3}, r"lengths has shape \(\); expected \(4,\)"),
    "lengths floats": ({}, (X,), {"lengths": torch.ones(B)}, "lengths have dtype torch.float32"),
    "lengths words": ({}, (X,), {"lengths": ["a"] * B}, "expected whole numbers, one a sequence"),
    "lengths unbatched": ({}, (X[:, 0],), {"lengths": [6]}, "lengths were given without a batch"),
    "resets turned": ({}, (X,), {"resets": torch.zeros(B, T).bool()}, r"resets has shape \(4, 6\)"),
    "resets of B": ({}, (X,), {"resets": torch.zeros(B).bool()}, r"expected \(6, 4\)"),
    "resets floats": ({}, (X,), {"resets": torch.zeros(T, B)}, "expected torch.bool"),
    "resets for two": ({}, (X,), {"resets": (torch.zeros(T, B).bool(),) * 2}, "resets hold 2 tensors"),
    "times NaN": ({}, (X,), {"times": NAN}, "times hold NaN or infinity"),
    "times of B": ({}, (X,), {"times": torch.zeros(B)}, r"shape \(4,\); expected \(6,\) or \(6, 4\)"),
    "times turned": ({}, (X,), {"times": torch.zeros(B, T)}, r"expected \(6,\) or \(6, 4\)"),
    "times bool": ({}, (X,), {"times": torch.zeros(T).bool()}, "times have dtype torch.bool"),
    "times a list": ({}, (X,), {"times": [0.0] * T}, "times are a list; expected a Tensor"),
}  # fmt: skip


@pytest.mark.parametrize("wrong", CALLS)
def test_calls(wrong):
    options, arguments, keywords, words = CALLS[wrong]
    with pytest.raises(ArgumentError, match=words) as caught:
        memspan.GRU(D, H, **options)(*arguments, **keywords)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("hx", [torch.zeros(1, B, H), (torch.zeros(1, B, H),), 3])
def test_an_lstm_wants_a_pair(hx):
    with pytest.raises(ShapeError, match=r"expected a tuple \(h_0, c_0\)"):
        memspan.LSTM(D, H)(X, hx)


def test_a_packed_sequence_has_its_own_lengths_and_no_replicas():
    packed = pack_sequence([X[:, 0]])
    with pytest.raises(ArgumentError, match="lengths were given beside a PackedSequence"):
        memspan.GRU(D, H)(packed, lengths=[6])
    with pytest.raises(ArgumentError, match="no axis for replicas"):
        memspan.GRU(D, H, replicas=2)(packed)


MAKES = {
    "hidden_size=0": ((D, 0), {}),
    "hidden_size='5'": ((D, "5"), {}),
    "input_size=True": ((True, H), {}),
    "num_layers=0": ((D, H, 0), {}),
    "dropout=1.5": ((D, H), {"dropout": 1.5}),
    "dropout=True": ((D, H), {"dropout": True}),
    "replicas=0": ((D, H), {"replicas": 0}),
    "kernel='gpu'": ((D, H), {"kernel": "gpu"}),
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("wrong", MAKES)
def test_constructors(name, wrong):
    arguments, options = MAKES[wrong]
    with pytest.raises(ArgumentError, match=f"{wrong}: expected"):
        getattr(memspan, name)(*arguments, **options)


LAYERS = (*NAMES, *(f"Phased{name}" for name in NAMES))
FLAGS = {
    "bias": (*LAYERS, *(f"{name}Cell" for name in LAYERS)),
    "batch_first": LAYERS,
    "bidirectional": LAYERS,
    "trainable_state": LAYERS,
}


@pytest.mark.parametrize("value", [1, 0, "False", None, 1.0, torch.tensor(True)], ids=str)
@pytest.mark.parametrize("flag", FLAGS)
def test_flags_are_true_or_false(flag, value):
    for name in FLAGS[flag]:
        with pytest.raises(ArgumentError, match=f"{flag}=.*: expected True or False, got"):
            getattr(memspan, name)(D, H, **{flag: value})
        assert getattr(getattr(memspan, name)(D, H, **{flag: np.True_}), flag) is True


@pytest.mark.parametrize("flag", ["return_states", "return_gates"])
def test_flags_of_a_call_are_true_or_false(flag):
    with pytest.raises(ArgumentError, match=f"{flag}='no': expected True or False, got str"):
        memspan.GRU(D, H)(X, **{flag: "no"})


def test_what_is_not_a_cell():
    with pytest.raises(ArgumentError, match="expected an instance of a Cell"):
        memspan.Recurrent("lstm")


@pytest.mark.parametrize(
    ("x", "hx", "words"),
    [
        (torch.zeros(1, B, D), None, r"input has shape \(1, 4, 3\); expected \(B, 3\) or \(3,\)"),
        (torch.zeros(B, D + 1), None, r"expected \(B, 3\)"),
        (torch.zeros(B, D), torch.zeros(1, H), r"hx: h_0 has shape \(1, 5\); expected \(4, 5\)"),
        (torch.zeros(B, D).double(), None, "dtype"),
    ],
)
def test_one_step(x, hx, words):
    with pytest.raises(MemspanError, match=words):
        memspan.GRUCell(D, H)(x, hx)


def test_one_direction_only():
    both = memspan.GRU(D, H, bidirectional=True)
    with pytest.raises(ArgumentError, match="bidirectional, and its reverse direction begins at the end"):
        memspan.Stream(both)
    with pytest.raises(ArgumentError, match="bidirectional, and a window cannot know"):
        next(memspan.truncated(both, X, 2))
    with pytest.raises(ArgumentError, match="window=0: expected at least 1"):
        next(memspan.truncated(memspan.GRU(D, H), X, 0))
    with pytest.raises(ShapeError, match=r"a step's input has shape \(6, 4, 3\); expected \(B, 3\)"):
        memspan.Stream(memspan.GRU(D, H))(X)
