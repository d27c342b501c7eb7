"""One step of a gated cell as a module: ``PhasedRNNCell``, ``PhasedGRUCell`` and ``PhasedLSTMCell``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from memspan.cells.cell import Cell
from memspan.cells.gru import equations as gru
from memspan.cells.peephole_lstm import equations as peephole_lstm
from memspan.cells.rnn import equations as rnn
from memspan.cells.time_gate.equations import LEAK
from memspan.cells.time_gate.initial import Clocks, Scheme
from memspan.layers import checks
from memspan.layers.clocks import EVERY, Periods, clocks_of, freeze, gated, names_of, told
from memspan.layers.one_step import OneStep


class PhasedStep(OneStep):
    """A cell under a time gate, one step at a time; every call says its ``time``.

    Args:
        periods, open_ratio, initial, leak, learned: as in ``PhasedLSTM``.
        more: the keywords of ``OneStep``: init, forget_bias.
    """

    def __init__(
        self,
        cell: Cell,
        *,
        periods: Periods = None,
        open_ratio: float | None = None,
        initial: Scheme | None = None,
        leak: float = LEAK,
        learned: Iterable[str] = EVERY,
        **more: Any,
    ) -> None:
        names = names_of(learned)
        super().__init__(gated(cell, periods, open_ratio, initial, leak), **more)
        self.learned = names
        freeze(self, names)

    def clocks(self) -> Clocks:
        """Return every unit's period, shift and open ratio as they are now, (H,) each."""
        return Clocks(*clocks_of(self, {name: name for name in self.cell.parameter_shapes()}))

    def extra_repr(self) -> str:
        """Return the arguments that are not at their default."""
        return super().extra_repr() + told(self)


class PhasedRNNCell(PhasedStep):
    """One step of a ``PhasedRNN``, with ``torch.nn.RNNCell``'s signature; returns h."""

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh",
        device: Any = None, dtype: Any = None, **more: Any,
    ) -> None:  # fmt: skip
        sizes = checks.sizes(input_size, hidden_size, bias)
        super().__init__(rnn.RNN(*sizes, nonlinearity=nonlinearity), device=device, dtype=dtype, **more)
        self.nonlinearity = nonlinearity


class PhasedGRUCell(PhasedStep):
    """One step of a ``PhasedGRU``, with ``torch.nn.GRUCell``'s signature; returns h."""

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None,
        **more: Any,
    ) -> None:  # fmt: skip
        cell = gru.GRU(*checks.sizes(input_size, hidden_size, bias))
        super().__init__(cell, device=device, dtype=dtype, **more)


class PhasedLSTMCell(PhasedStep):
    """One step of a ``PhasedLSTM``, with ``torch.nn.LSTMCell``'s signature; returns (h, c).

    Example:
        >>> import torch
        >>> step = PhasedLSTMCell(3, 5, periods=(1.0, 100.0))
        >>> h, c = step(torch.zeros(4, 3), time=torch.tensor(17.5))
        >>> tuple(h.shape)
        (4, 5)
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None,
        **more: Any,
    ) -> None:  # fmt: skip
        cell = peephole_lstm.PeepholeLSTM(*checks.sizes(input_size, hidden_size, bias))
        super().__init__(cell, device=device, dtype=dtype, **more)
