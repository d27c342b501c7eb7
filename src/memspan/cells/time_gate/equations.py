"""The time gate: a blend of old and new state, open for a share of every period of a clock."""

from __future__ import annotations

import copy
import functools

import numpy as np
import torch
from torch import Tensor

from memspan.cells.cell import Cell, Parameters, State
from memspan.cells.time_gate.initial import LogUniform, Scheme, clock_parameters
from memspan.cells.time_gate.times import check_times
from memspan.errors import ArgumentError, ShapeError
from memspan.streams import stream

LEAK = 0.001
"""The paper's leak while training."""
CLOCKS = ("log_period", "shift", "open_logit")


class TimeGate(Cell):
    """A clock around any cell: every unit's state follows the cell while its window is open, else stays.

    Equations:
        τ = exp(λ), r = σ(ρ)
        φ = ((t − s) mod τ)/τ
        k = 2φ/r for φ < r/2; 2 − 2φ/r for r/2 ≤ φ < r; αφ for r ≤ φ
        every state: s_t = k ⊙ s̃_t + (1 − k) ⊙ s_{t−1}, s̃_t what the cell makes of s_{t−1}

    Shapes:
        The cell's, and ``log_period`` λ, ``shift`` s and ``open_logit`` ρ, (H,) each; time (...) shared by
        a batch or (..., B), a timestamp for each row. The phase is computed in float64.

    Args:
        cell: what runs while a unit is open; its sizes and gates become the gate's own.
        leak: α, in training; ``in_evaluation()`` is the same gate without it, and a layer takes that one
            when it does not train. The sparse path and a long memory want 0 throughout.
        initial: how the clocks start; see ``memspan.cells.time_gate.initial``.

    Raises:
        ArgumentError: a leak outside [0, 1], or a gate around a gate.

    Source:
        D. Neil, M. Pfeiffer & S.-C. Liu (2016), "Phased LSTM: accelerating recurrent network training for
        long or event-based sequences". Around a ``PeepholeLSTM`` it is the paper's network.

    Differs:
        The candidate output is o ⊙ tanh(c̃) with the ungated c̃, as in the paper; some codes take the gated c.
        Derivatives at a kink are those of the part of the curve that begins there (``NOTES.md``).

    Example:
        >>> from memspan.cells.lstm.equations import LSTM
        >>> gate = TimeGate(LSTM(3, 5))
        >>> list(gate.parameter_shapes())[-3:], gate.in_evaluation().leak
        (['log_period', 'shift', 'open_logit'], 0.0)
    """

    name = "time_gate"

    def __init__(self, cell: Cell, leak: float = LEAK, initial: Scheme | None = None) -> None:
        _check(cell, leak, initial)
        self.cell, self.leak, self.initial = cell, float(leak), initial or LogUniform()
        super().__init__(cell.input_size, cell.hidden_size, cell.biases)
        self.gates, self.states = cell.gates, cell.states

    def __repr__(self) -> str:
        return f"TimeGate({self.cell!r}, leak={self.leak:g})"

    @property
    def leak(self) -> float:
        """α; its text is ``leak_text``, as torch.compile cannot format a number that it leaves open."""
        return self._leak

    @leak.setter
    def leak(self, leak: float) -> None:
        self._leak = float(leak)
        self.leak_text = repr(self._leak)

    @property
    def input_size(self) -> int:
        """D of the cell inside; setting it gives the gate a resized copy of that cell."""
        return self.cell.input_size

    @input_size.setter
    def input_size(self, size: int) -> None:
        self.cell = copy.copy(self.cell)
        self.cell.input_size = size

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return name → shape: the cell's parameters, then the clocks'."""
        return self.cell.parameter_shapes() | dict.fromkeys(CLOCKS, (self.hidden_size,))

    def own_initial(self, seed: int) -> dict[str, np.ndarray]:
        """Draw the clocks by the gate's scheme."""
        drawn = self.initial.draw(stream(seed, "initial clocks"), self.hidden_size)
        return self.cell.own_initial(seed) | clock_parameters(*drawn)

    @functools.cached_property
    def open_share(self) -> float:
        """Share of time a unit is expected to be open at leak 0: the mean r of clocks the scheme draws."""
        return float(self.initial.draw(stream(0, "open share"), self.hidden_size).open_ratio.mean())

    def clock(self, times: Tensor | None, steps: int, device: torch.device) -> Tensor:
        """Return checked times, or 0, 1, 2, … where none are given."""
        if times is None:
            return torch.arange(steps, dtype=torch.float64, device=device)
        check_times(times)
        return times

    def in_evaluation(self) -> TimeGate:
        """Return the same gate without its leak."""
        gate = copy.copy(self)
        gate.leak = 0.0
        return gate

    def step(self, p: Parameters, x: Tensor, state: State, time: Tensor | None = None) -> State:
        """Return the blended state.

        Raises:
            ArgumentError: no time, or one that ``check_times`` refuses.
        """
        if time is None:
            raise ArgumentError(
                f"{self!r} needs the time of the step; layers and unroll() count 0, 1, 2, … if not told"
            )
        check_times(time)
        new, k = self.cell.step(p, x, state), self.openness(p, time)
        # lerp keeps the old state's bits at k = 0 and gives the new one's at k = 1
        return tuple(torch.lerp(s, n, k.to(s.dtype)) for s, n in zip(state, new, strict=True))

    def gate_values(self, p: Parameters, x: Tensor, state: State) -> dict[str, Tensor]:
        """Return the activations of the cell's own gates; ``openness`` gives k."""
        return self.cell.gate_values(p, x, state)

    def openness(self, p: Parameters, time: Tensor) -> Tensor:
        """Return k in float64, (..., 1, H) for a shared time (...) and (..., B, H) for (..., B)."""
        lead, at = p["shift"].shape[:-1], time.shape
        if at in (torch.Size(), lead):
            time = time.unsqueeze(-1)
        elif at[:-1] != lead:
            raise ShapeError(f"time has shape {tuple(at)}; expected {tuple(lead)} or {(*lead, 'B')}")
        period, shift, ratio = (value.unsqueeze(-2) for value in self.clocks_of(p))
        return openness(phase(time.double().unsqueeze(-1), period, shift), ratio, self.leak)

    def clocks_of(self, p: Parameters) -> tuple[Tensor, Tensor, Tensor]:
        """Return periods τ, shifts s and open ratios r, (..., H) each, in float64."""
        return p["log_period"].double().exp(), p["shift"].double(), p["open_logit"].double().sigmoid()


def _check(cell: object, leak: object, initial: object) -> None:
    """Refuse what is no gate: around no plain cell, with a leak that is no share, or clocks nobody draws."""
    if not isinstance(cell, Cell):
        raise ArgumentError(f"cell is {cell!r}; expected an instance of a Cell, for instance LSTM(3, 5)")
    if isinstance(cell, TimeGate):
        raise ArgumentError(f"{cell!r} has a clock already; put the gate around a plain cell")
    if isinstance(leak, bool) or not isinstance(leak, (int, float)) or not 0 <= leak <= 1:
        raise ArgumentError(f"leak {leak!r}: expected a number in 0 … 1")
    if initial is not None and (isinstance(initial, type) or not hasattr(initial, "draw")):
        raise ArgumentError(f"initial={initial!r}: expected a scheme, for instance FirstEvent(2.0, 400.0)")


def phase(time: Tensor, period: Tensor, shift: Tensor) -> Tensor:
    """Return φ = ((t − s) mod τ)/τ in [0, 1), the modulo floored; give float64, large times need it."""
    rest = torch.remainder(time - shift, period)
    # a negative t − s too small to be seen beside τ leaves a rest of τ
    return torch.where(rest < period, rest, rest - period) / period


def openness(phi: Tensor, open_ratio: Tensor, leak: float | Tensor = 0.0) -> Tensor:
    """Return k at a phase φ in [0, 1); each part of the curve includes its left end, gradients too."""
    rising, falling = 2 * phi / open_ratio, 2 - 2 * phi / open_ratio
    closed = torch.where(phi < open_ratio, falling, leak * phi)
    return torch.where(phi < open_ratio / 2, rising, closed)
