"""One step of a cell as a module, state in and state out: the twins of ``torch.nn``'s cells."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from memspan.cells.cell import Cell, State
from memspan.cells.gru import equations as gru
from memspan.cells.lstm import equations as lstm
from memspan.cells.rnn import equations as rnn
from memspan.errors import ShapeError
from memspan.layers import checks
from memspan.layers.call import full_precision
from memspan.layers.recurrent import named, nonlinearity_of
from memspan.layers.weights import Initial, drawn_anew


class OneStep(nn.Module):
    """Any cell as a module that takes one step; plain torch, so every transform of torch serves.

    Shapes:
        input (B, D) or (D); every part of the state (B, H) or (H).

    Args:
        cell: equations and sizes.
        init, forget_bias: as in ``Recurrent``.

    Returns:
        The next state: a tensor, or a tuple where the cell has several parts.

    Example:
        >>> step = LSTMCell(3, 5)
        >>> h, c = step(torch.zeros(4, 3))
        >>> tuple(h.shape)
        (4, 5)
    """

    def __init__(
        self,
        cell: Cell,
        *,
        device: Any = None,
        dtype: torch.dtype | None = None,
        init: str = "torch",
        forget_bias: float | None = None,
    ) -> None:
        super().__init__()
        self.cell, self.bias = named(cell), cell.biases > 0
        self.input_size, self.hidden_size = cell.input_size, cell.hidden_size
        self._initial = Initial(init, forget_bias)
        self._initial.check(cell)
        for name, shape in cell.parameter_shapes().items():
            setattr(self, name, nn.Parameter(torch.empty(shape, device=device, dtype=dtype)))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw every weight anew; see ``Recurrent.reset_parameters`` for parametrized ones."""
        with drawn_anew(self, list(self.cell.parameter_shapes())) as targets:
            self._initial.fill(self.cell, targets)

    def _weights(self) -> dict[str, Tensor]:
        return {name: getattr(self, name) for name in self.cell.parameter_shapes()}

    def extra_repr(self) -> str:
        """Return sizes, and what is not at its default."""
        told = [f"{self.input_size}, {self.hidden_size}", *([] if self.bias else ["bias=False"])]
        return ", ".join(told + nonlinearity_of(self.cell))

    def forward(
        self, input: Tensor, hx: Tensor | State | None = None, *, time: Tensor | float | None = None
    ) -> Any:
        """Return the next state; ``time`` is the timestamp, a number, () or (B,), for a cell with a clock.

        Raises:
            ShapeError: a tensor of the wrong rank, size or dtype; nothing is broadcast.
        """
        weights = self._weights()
        like = next(iter(weights.values()))
        with full_precision(input, like) as cast:
            x, hx = cast(input), cast(hx)
            if not isinstance(x, Tensor) or x.dim() not in (1, 2) or x.shape[-1] != self.input_size:
                told = f"shape {tuple(x.shape)}" if isinstance(x, Tensor) else f"type {type(x).__name__}"
                raise ShapeError(f"input has {told}; expected (B, {self.input_size}) or ({self.input_size},)")
            checks.same_kind("input", x, like)
            state = checks.parts_of(self.cell, hx, (*x.shape[:-1], self.hidden_size), like)
            now = checks.time_of(time, tuple(x.shape[:-1]), x)
            cell = self.cell if self.training else self.cell.in_evaluation()
            if x.dim() == 2:
                return self._told(cell.step(weights, x, state, now))
            rows = cell.step(weights, x[None], tuple(s[None] for s in state), now)
            return self._told(tuple(s[0] for s in rows))

    def _told(self, state: State) -> Any:
        return state if len(self.cell.states) > 1 else state[0]


class RNNCell(OneStep):
    """One step of the vanilla unit, in place of ``torch.nn.RNNCell``; returns h."""

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh",
        device: Any = None, dtype: Any = None, **more: Any,
    ) -> None:  # fmt: skip
        sizes = checks.sizes(input_size, hidden_size, bias)
        super().__init__(rnn.RNN(*sizes, nonlinearity=nonlinearity), device=device, dtype=dtype, **more)
        self.nonlinearity = nonlinearity


class GRUCell(OneStep):
    """One step of the gated recurrent unit, in place of ``torch.nn.GRUCell``; returns h."""

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None,
        **more: Any,
    ) -> None:  # fmt: skip
        cell = gru.GRU(*checks.sizes(input_size, hidden_size, bias))
        super().__init__(cell, device=device, dtype=dtype, **more)


class LSTMCell(OneStep):
    """One step of the LSTM, in place of ``torch.nn.LSTMCell``; returns (h, c)."""

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None,
        **more: Any,
    ) -> None:  # fmt: skip
        cell = lstm.LSTM(*checks.sizes(input_size, hidden_size, bias))
        super().__init__(cell, device=device, dtype=dtype, **more)
