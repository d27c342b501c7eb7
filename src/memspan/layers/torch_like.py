"""``RNN``, ``GRU`` and ``LSTM`` with the signatures of ``torch.nn``."""

from __future__ import annotations

from typing import Any

from memspan.cells.gru import equations as gru
from memspan.cells.lstm import equations as lstm
from memspan.cells.rnn import equations as rnn
from memspan.errors import ArgumentError
from memspan.layers import checks
from memspan.layers.recurrent import Recurrent


class RNN(Recurrent):
    """Vanilla recurrent layer, in place of ``torch.nn.RNN``.

    Equations:
        h_t = φ(W_ih x_t + b_ih + W_hh h_{t−1} + b_hh), φ = tanh or max(0, ·)

    Args:
        input_size, hidden_size, num_layers, nonlinearity, bias, batch_first, dropout, bidirectional, device,
            dtype: as in ``torch.nn.RNN``.
        more: the keywords of ``Recurrent``: replicas, kernel, init, trainable_state.

    Example:
        >>> import torch
        >>> output, h = RNN(3, 5, nonlinearity="relu")(torch.zeros(7, 4, 3))
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


class GRU(Recurrent):
    """Gated recurrent layer, in place of ``torch.nn.GRU``: the reset gate acts after the recurrent product.

    Equations:
        See ``memspan.cells.gru.equations.GRU``; gates r, z, n in every stacked weight.

    Args:
        input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device, dtype: as in
            ``torch.nn.GRU``.
        more: the keywords of ``Recurrent``: replicas, kernel, init, trainable_state.

    Example:
        >>> import torch
        >>> output, h = GRU(3, 5, batch_first=True)(torch.zeros(4, 7, 3))
        >>> tuple(output.shape), tuple(h.shape)
        ((4, 7, 5), (1, 4, 5))
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


class LSTM(Recurrent):
    """Long short-term memory layer, in place of ``torch.nn.LSTM``.

    Equations:
        See ``memspan.cells.lstm.equations.LSTM``; gates i, f, g, o in every stacked weight.

    Args:
        input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, device, dtype: as in
            ``torch.nn.LSTM``.
        proj_size: 0; projections are not served.
        more: the keywords of ``Recurrent``: replicas, kernel, init, forget_bias, trainable_state.

    Raises:
        ArgumentError: ``proj_size`` other than 0.

    Example:
        >>> import torch
        >>> _ = torch.manual_seed(0)
        >>> layer, theirs = LSTM(3, 5, num_layers=2), torch.nn.LSTM(3, 5, num_layers=2)
        >>> theirs.load_state_dict(layer.state_dict())
        <All keys matched successfully>
        >>> x = torch.randn(7, 4, 3)
        >>> torch.allclose(layer(x)[0], theirs(x)[0], atol=1e-6)
        True
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
        super().__init__(
            lstm.LSTM(*checks.sizes(input_size, hidden_size, bias)), num_layers, batch_first=batch_first,
            dropout=dropout, bidirectional=bidirectional, device=device, dtype=dtype, **more,
        )  # fmt: skip
        self.proj_size = 0


def no_projection(proj_size: int) -> None:
    """Refuse the argument of ``torch.nn.LSTM`` that is not served."""
    if proj_size:
        raise ArgumentError(
            f"proj_size={proj_size}: projections are not served; put an nn.Linear behind the layer"
        )
