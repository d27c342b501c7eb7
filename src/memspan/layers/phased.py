"""``PhasedRNN``, ``PhasedGRU`` and ``PhasedLSTM``: layers whose units run on clocks of their own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from memspan.cells.cell import Cell
from memspan.cells.gru import equations as gru
from memspan.cells.peephole_lstm import equations as peephole_lstm
from memspan.cells.rnn import equations as rnn
from memspan.cells.time_gate.equations import LEAK
from memspan.cells.time_gate.initial import Clocks, Scheme
from memspan.layers import checks
from memspan.layers.clocks import EVERY, Periods, clocks_of, freeze, gated, names_of, told
from memspan.layers.recurrent import Recurrent
from memspan.layers.torch_like import no_projection


class Phased(Recurrent):
    """A cell under a time gate, as a layer: the base of ``PhasedRNN``, ``PhasedGRU`` and ``PhasedLSTM``.

    Args:
        cell: what runs while a unit is open.
        num_layers: layers, each with clocks of its own.
        periods, open_ratio, initial, leak, learned: as in ``PhasedLSTM``.
        more: the keywords of ``Recurrent``.
    """

    def __init__(
        self,
        cell: Cell,
        num_layers: int = 1,
        *,
        periods: Periods = None,
        open_ratio: float | None = None,
        initial: Scheme | None = None,
        leak: float = LEAK,
        learned: Iterable[str] = EVERY,
        **more: Any,
    ) -> None:
        names = names_of(learned)
        super().__init__(gated(cell, periods, open_ratio, initial, leak), num_layers, **more)
        self.learned = names
        freeze(self, names)

    def clocks(self) -> Clocks:
        """Return every unit's period, shift and open ratio as they are now, (layers·directions, H) each.

        With replicas each has a leading axis R.
        """
        found = [clocks_of(self, names) for names in self._names]
        return Clocks(*(np.stack(parts, -2) for parts in zip(*found, strict=True)))

    def extra_repr(self) -> str:
        """Return the arguments that are not at their default."""
        return super().extra_repr() + told(self)


class PhasedRNN(Phased):
    """Vanilla recurrent layer on clocks.

    Args:
        input_size, hidden_size, num_layers, nonlinearity, bias, batch_first, dropout, bidirectional, device,
            dtype: as in ``torch.nn.RNN``.
        more: periods, open_ratio, initial, leak, learned as in ``PhasedLSTM``; replicas, kernel, init,
            trainable_state as in ``Recurrent``.

    Example:
        >>> import torch
        >>> output, h = PhasedRNN(3, 5, nonlinearity="relu", periods=(1, 50))(torch.zeros(7, 4, 3))
        >>> tuple(output.shape), tuple(h.shape)
        ((7, 4, 5), (1, 4, 5))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
        **more: Any,
    ) -> None:
        sizes = checks.sizes(input_size, hidden_size, bias)
        super().__init__(
            rnn.RNN(*sizes, nonlinearity=nonlinearity), num_layers, batch_first=batch_first,
            dropout=dropout, bidirectional=bidirectional, device=device, dtype=dtype, **more,
        )  # fmt: skip
        self.nonlinearity = nonlinearity


class PhasedGRU(Phased):
    """Gated recurrent layer on clocks; the reset gate acts after the recurrent product, as in torch.

    Args:
        input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device, dtype: as in
            ``torch.nn.GRU``.
        more: periods, open_ratio, initial, leak, learned as in ``PhasedLSTM``; replicas, kernel, init,
            trainable_state as in ``Recurrent``.

    Example:
        >>> import torch
        >>> layer = PhasedGRU(3, 5, periods=(0.5, 60.0), open_ratio=0.1, learned=("period", "shift"))
        >>> layer.open_logit_l0.requires_grad, layer.clocks().period.shape
        (False, (1, 5))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
        **more: Any,
    ) -> None:
        super().__init__(
            gru.GRU(*checks.sizes(input_size, hidden_size, bias)), num_layers, batch_first=batch_first,
            dropout=dropout, bidirectional=bidirectional, device=device, dtype=dtype, **more,
        )  # fmt: skip


class PhasedLSTM(Phased):
    """Long short-term memory layer on clocks, with peepholes: the network of the Phased LSTM's paper.

    Every unit has a clock of period τ, shift s and open ratio r. It follows the cell while its gate is open,
    for a share r of every period, and keeps its state for the rest.

    Equations:
        A ``TimeGate`` around ``memspan.cells.peephole_lstm.equations.PeepholeLSTM``; gates i, f, g, o in
        every stacked weight.

    Shapes:
        As in ``Recurrent``. ``times`` (T,), shared by the batch, or (T, B), (B, T) with ``batch_first``, a
        timestamp for each row's step; with replicas (R, T, B) or (R, B, T). Whole or real numbers in any
        unit, best float64; 0, 1, 2, … where none are given. All layers run on the same times. In the reverse
        direction a step keeps its time: its units are open at the same instants, their clocks run backwards.

    Args:
        input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device, dtype: as in
            ``torch.nn.LSTM``.
        proj_size: 0; projections are not served.
        periods: shortest and longest period at the start, log-uniform between; (1, 1000) if not given.
        open_ratio: r of every unit at the start; 0.05 if not given.
        initial: a scheme in place of these two: ``LogUniform`` or ``FirstEvent``.
        leak: α; in training a closed gate lets α times its phase through, in evaluation nothing; 0.001 if not
            given. Give 0 where a memory is to last: about e^(−αT/2) of a state is left after T closed steps.
        learned: which of ``"period"``, ``"shift"`` and ``"open_ratio"`` are trained, all if not given; the
            others stay frozen.
        more: replicas, kernel, init, forget_bias, trainable_state as in ``Recurrent``.

    Units:
        Periods and shifts in the unit of the timestamps.

    Raises:
        ArgumentError: a period, ratio or leak that cannot be meant; ``initial`` beside what it replaces;
            ``proj_size`` other than 0.
        UnknownNameError: a name in ``learned`` that is no part of a clock.

    Source:
        D. Neil, M. Pfeiffer & S.-C. Liu (2016), "Phased LSTM: accelerating recurrent network training for
        long or event-based sequences".

    Differs:
        Without peepholes: ``Recurrent(TimeGate(LSTM(D, H)))``. Known codes differ from the paper in what
        ``src/memspan/cells/time_gate/NOTES.md`` lists.

    Example:
        >>> import torch
        >>> layer = PhasedLSTM(3, 5, periods=(1.0, 100.0))
        >>> x, times = torch.zeros(7, 4, 3), torch.rand(7, 4, dtype=torch.float64).cumsum(0)
        >>> output, (h, c) = layer(x, times=times, lengths=[7, 2, 0, 5])
        >>> tuple(output.shape), tuple(c.shape)
        ((7, 4, 5), (1, 4, 5))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
        **more: Any,
    ) -> None:
        no_projection(proj_size)
        cell = peephole_lstm.PeepholeLSTM(*checks.sizes(input_size, hidden_size, bias))
        super().__init__(
            cell, num_layers, batch_first=batch_first,
            dropout=dropout, bidirectional=bidirectional, device=device, dtype=dtype, **more,
        )  # fmt: skip
        self.proj_size = 0
