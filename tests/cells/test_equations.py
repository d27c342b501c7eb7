"""Cells are torch's equations, counted and initialised as they say."""

import math

import numpy as np
import pytest
import torch

from memspan.cells import CELLS
from memspan.cells.initial import initial_parameters
from memspan.errors import ArgumentError, KernelRefusal, UnknownNameError

SIZES = [(1, 1), (1, 128), (3, 5), (10, 7)]


def twin(name, d, h, **options):
    """A cell of ours, a cell of torch's, and the weights they share."""
    theirs = getattr(torch.nn, f"{name.upper()}Cell")(d, h, dtype=torch.float64, **options)
    ours = CELLS.resolve(name)(d, h, **options)
    return ours, theirs, {k: v.detach() for k, v in theirs.named_parameters()}


@pytest.mark.parametrize(("d", "h"), SIZES)
@pytest.mark.parametrize(
    ("name", "options"), [("rnn", {}), ("rnn", {"nonlinearity": "relu"}), ("gru", {}), ("lstm", {})]
)
def test_a_step_equals_torch(name, options, d, h):
    torch.manual_seed(0)
    ours, theirs, p = twin(name, d, h, **options)
    x, state = (
        torch.randn(4, d, dtype=torch.float64),
        tuple(torch.randn(4, h, dtype=torch.float64) for _ in ours.states),
    )
    expected = theirs(x, state if len(state) > 1 else state[0])
    expected = expected if isinstance(expected, tuple) else (expected,)
    for got, want in zip(ours.step(p, x, state), expected, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", list(CELLS))
def test_replicas_are_one_more_axis(name):
    cell = CELLS.resolve(name)(3, 5)
    p = {k: torch.randn(2, *s) for k, s in cell.parameter_shapes().items()}
    x, state = torch.randn(2, 4, 3), tuple(torch.randn(2, 4, 5) for _ in cell.states)
    now = torch.tensor(3.0)
    both = cell.step(p, x, state, now.expand(2))
    for r in range(2):
        one = cell.step({k: v[r] for k, v in p.items()}, x[r], tuple(s[r] for s in state), now)
        for got, want in zip(both, one, strict=True):
            torch.testing.assert_close(got[r], want)


@pytest.mark.parametrize("name", list(CELLS))
def test_gate_values_bear_the_gates_names(name):
    cell = CELLS.resolve(name)(3, 5)
    p = {k: torch.randn(s) for k, s in cell.parameter_shapes().items()}
    gates = cell.gate_values(p, torch.randn(2, 3), tuple(torch.zeros(2, 5) for _ in cell.states))
    assert tuple(gates) == cell.gates
    assert all(g.shape == (2, 5) for g in gates.values())


def test_a_cell_without_gates_says_so():
    from memspan.cells.cell import Cell

    class Own(Cell):
        name = "own"

        def step(self, p, x, state, time=None):
            return state

    with pytest.raises(KernelRefusal, match="gate_values"):
        Own(1, 1).gate_values({}, torch.zeros(1, 1), (torch.zeros(1, 1),))


@pytest.mark.parametrize(("name", "count"), [("rnn", 128 * (1 + 128 + 1)), ("lstm", 4 * 128 * (1 + 128 + 1))])
def test_parameters_counted_as_in_the_report(name, count):
    assert CELLS.resolve(name)(1, 128, biases=1).parameter_count() == count
    assert CELLS.resolve(name)(1, 128).parameter_count() == count + len(CELLS.resolve(name).gates) * 128


@pytest.mark.parametrize("sizes", [(0, 3), (3, 0), (3, 3, 5)])
def test_impossible_sizes_are_refused(sizes):
    with pytest.raises(ArgumentError, match="at least 1"):
        CELLS.resolve("lstm")(*sizes)


def lstm(hidden=128):
    return CELLS.resolve("lstm")(1, hidden, biases=1)


def test_xavier_is_drawn_for_each_gate_by_itself():
    w = initial_parameters(lstm(), seed=0)["weight_hh"]
    assert w.std() == pytest.approx(1 / math.sqrt(128), rel=0.02)
    assert len({float(w[k * 128, 0]) for k in range(4)}) == 4


def test_orthogonal_gates_are_orthogonal():
    w = initial_parameters(lstm(16), seed=0, init="orthogonal")["weight_hh"].astype(np.float64)
    for gate in w.reshape(4, 16, 16):
        assert np.abs(gate @ gate.T - np.eye(16)).max() < 1e-6


def test_identity_is_the_identity():
    cell = CELLS.resolve("rnn")(1, 6)
    assert np.array_equal(initial_parameters(cell, seed=0, init="identity")["weight_hh"], np.eye(6))


def test_torch_stays_in_its_bound():
    values = initial_parameters(lstm(64), seed=0, init="torch", bias="torch")
    assert all(0.9 / 8 < np.abs(v).max() <= 1 / 8 for v in values.values())


def test_uniform_xavier_stays_in_its_bound():
    w = initial_parameters(lstm(64), seed=0, init="xavier_uniform")["weight_hh"]
    assert 0.99 < np.abs(w).max() / math.sqrt(6 / 128) <= 1


def test_forget_one_sets_one_gate_and_one_bias():
    values = initial_parameters(CELLS.resolve("lstm")(1, 8), seed=0, bias="forget_one")
    i, f, g, o = values["bias_ih"].reshape(4, 8)
    assert (f == 1).all()
    assert not any(rest.any() for rest in (i, g, o, values["bias_hh"]))


def test_chrono_spans_the_longest_dependency():
    b = initial_parameters(lstm(4096), seed=0, bias="chrono", longest=100)["bias_ih"].reshape(4, 4096)
    assert np.array_equal(b[0], -b[1])
    assert b[1].min() >= 0
    assert b[1].max() == pytest.approx(math.log(99), abs=0.01)
    assert np.exp(b[1]).mean() == pytest.approx(50, abs=1.5)


def test_initial_weights_depend_on_seed_and_name_only():
    a, b = initial_parameters(lstm(), seed=1), initial_parameters(lstm(), seed=1)
    other = initial_parameters(lstm(), seed=2)
    assert all(np.array_equal(a[k], b[k]) for k in a)
    assert not np.array_equal(a["weight_hh"], other["weight_hh"])


@pytest.mark.parametrize(
    ("kwargs", "error"),
    [
        ({"init": "he"}, UnknownNameError),
        ({"bias": "ones"}, UnknownNameError),
        ({"bias": "chrono", "longest": 2}, ArgumentError),
    ],
)
def test_unknown_schemes_are_refused(kwargs, error):
    with pytest.raises(error):
        initial_parameters(lstm(4), seed=0, **kwargs)


def test_a_forget_bias_needs_a_forget_gate():
    with pytest.raises(ArgumentError, match="has none"):
        initial_parameters(CELLS.resolve("gru")(1, 4), seed=0, bias="forget_one")
