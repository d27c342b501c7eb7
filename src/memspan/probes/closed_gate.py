"""Is a state copied while its gate is closed? Bit by bit; with a leak; beside an LSTM that forgets little.

Equations:
    closed: s_t = s_{t−1} + αφ_t (s̃_t − s_{t−1}), so Π (1 − αφ_t) of a state is left, all of it at leak 0;
    an LSTM with input gate 0 and forget gate 1 − ε: (1 − ε)^t of its context is left.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from memspan.cells.cell import Cell, Parameters, State
from memspan.cells.gru.equations import GRU
from memspan.cells.initial import initial_parameters
from memspan.cells.lstm.equations import LSTM
from memspan.cells.peephole_lstm.equations import PeepholeLSTM
from memspan.cells.rnn.equations import RNN
from memspan.cells.time_gate.equations import LEAK, TimeGate, phase
from memspan.cells.time_gate.initial import LogUniform, clock_parameters
from memspan.kernels import unroll
from memspan.streams import stream

UNITS, ROWS, INPUTS = 16, 4, 2
CLOCKS = LogUniform(2.0, 200.0, 0.1)
PERIOD, RATIO = 2000.0, 0.05
LEAKS, FORGETS = (0.0, LEAK, 0.01), (0.001, 0.01)
DRAWN = 50
"""Steps between two points of the figure."""


def closed_gate(cases: int, seed: int) -> dict[str, object]:
    """Return the numbers behind c38.

    Returns:
        ``cases``: states of closed gates that were compared with those before, over the gated LSTM with
        peepholes, GRU and RNN in float32 on random inputs; ``changed``: those of which a bit differs;
        ``copy_error``: the share. ``open_changed``: the share that differs while open, where the same look
        must see a change. ``leak_error``: what the paper's leak takes of a state from one closing to the
        next opening; ``decay_error``: what is left with a leak against Π (1 − αφ), the largest relative
        error; ``forget_error``: an LSTM's context with forget gate 1 − ε against (1 − ε)^t.
        ``rounds_to_one``: the smallest whole pre-activation at which a float32 forget gate is 1. For the
        figure ``step``, ``leak`` and ``left``, ``forgets`` and ``lstm_left``.
    """
    looks = [_copies(kind(INPUTS, UNITS), cases // 10, seed) for kind in (PeepholeLSTM, GRU, RNN)]
    closed, changed, opened, moved = (sum(column) for column in zip(*looks, strict=True))
    leaking = {leak: _left_by(leak) for leak in LEAKS}
    forgetting = {forget: _left_by_lstm(forget) for forget in FORGETS}
    steps = np.arange(len(leaking[LEAK]))
    return {
        "cases": closed,
        "changed": changed,
        "copy_error": changed / closed,
        "open_changed": moved / opened,
        "leak_error": float(1 - leaking[LEAK][-1]),
        "decay_error": max(_apart(left, _told(leak)) for leak, left in leaking.items()),
        "forget_error": max(_apart(left, (1 - e) ** steps) for e, left in forgetting.items()),
        "rounds_to_one": next(b for b in range(100) if torch.tensor(float(b)).sigmoid() == 1),
        "step": steps[::DRAWN].tolist(),
        "leak": list(LEAKS),
        "left": [left[::DRAWN].tolist() for left in leaking.values()],
        "forgets": list(FORGETS),
        "lstm_left": [left[::DRAWN].tolist() for left in forgetting.values()],
    }


def _copies(cell: Cell, steps: int, seed: int) -> tuple[int, int, int, int]:
    """Count states of closed gates, those that changed, states of open gates, those that changed; leak 0."""
    gate = TimeGate(cell, leak=0.0, initial=CLOCKS)
    values = initial_parameters(gate, seed=seed, init="torch", bias="torch")
    p = {name: torch.from_numpy(value).unsqueeze(0) for name, value in values.items()}
    g = stream(seed, f"probe closed_gate {cell.name}")
    x = torch.from_numpy(g.standard_normal((1, steps, ROWS, INPUTS))).float()
    times = torch.from_numpy(g.exponential(size=steps).cumsum())
    made = unroll(gate, p, x, times=times, kernel="reference", return_states=True)
    k = torch.stack([gate.openness({name: value[0] for name, value in p.items()}, t) for t in times[1:]])
    shut = (k == 0).expand(-1, ROWS, -1)
    assert made.states is not None
    moved = [state[0, 1:] != state[0, :-1] for state in made.states.values()]
    counts = [(shut.sum(), (m & shut).sum(), (~shut).sum(), (m & ~shut).sum()) for m in moved]
    closed, changed, opened, differ = (int(sum(column)) for column in zip(*counts, strict=True))
    return closed, changed, opened, differ


class _Empty(LSTM):
    """A cell whose candidate state is zero: what is left of a state, and nothing else, is seen."""

    def step(self, p: Parameters, x: Tensor, state: State, time: Tensor | None = None) -> State:
        """Return zeros."""
        return tuple(torch.zeros_like(part) for part in state)


def _times() -> Tensor:
    """Return steps of 1 from the first closed instant to the last before the gate opens again."""
    return torch.arange(RATIO * PERIOD, PERIOD, dtype=torch.float64)


def _left_by(leak: float) -> np.ndarray:
    """Return what is left of a context of 1 before and after every closed step."""
    gate, times = TimeGate(_Empty(1, 1), leak), _times()
    clocks = clock_parameters([PERIOD], [0.0], [RATIO * (1 - 1e-9)])  # closed at rτ, however r is rounded
    p = {name: torch.zeros(1, *shape).double() for name, shape in gate.parameter_shapes().items()}
    p |= {name: torch.from_numpy(value).unsqueeze(0) for name, value in clocks.items()}
    return _contexts(gate, p, times)


def _left_by_lstm(forget: float) -> np.ndarray:
    """Return what an LSTM with input gate 0 and forget gate 1 − ε keeps of a context of 1."""
    cell, times = LSTM(1, 1, biases=1), _times()
    p = {name: torch.zeros(1, *shape).double() for name, shape in cell.parameter_shapes().items()}
    p["bias_ih"][0, :2] = torch.tensor([-math.inf, math.log((1 - forget) / forget)], dtype=torch.float64)
    return _contexts(cell, p, times)


def _contexts(cell: Cell, p: Parameters, times: Tensor) -> np.ndarray:
    x, one = torch.zeros(1, len(times), 1, 1).double(), torch.ones(1, 1, 1).double()
    made = unroll(cell, p, x, (one, one), times=times, kernel="reference", return_states=True)
    assert made.states is not None
    return np.concatenate([[1.0], made.states["c"].flatten().numpy()])


def _told(leak: float) -> np.ndarray:
    """Return Π (1 − αφ) after no step, one, two, …"""
    phi = phase(_times(), torch.tensor(PERIOD).double(), torch.tensor(0.0)).numpy()
    return np.concatenate([[1.0], np.cumprod(1 - leak * phi)])


def _apart(a: np.ndarray, b: np.ndarray) -> float:
    return float((np.abs(a - b) / np.abs(b)).max())
