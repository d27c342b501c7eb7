"""A layer from its weights alone: sizes, layers and directions are read off their names and shapes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from torch import Tensor

from memspan.cells import CELLS
from memspan.errors import ArgumentError
from memspan.layers.one_step import OneStep
from memspan.layers.recurrent import Recurrent

M = TypeVar("M", Recurrent, OneStep)


def layer_of(cell: str, weights: Mapping[str, Tensor], *, batch_first: bool = False) -> Recurrent:
    """Return the layer whose ``state_dict`` these weights are; names as in ``torch.nn``.

    Raises:
        ArgumentError: names or shapes that are not a layer's of this cell.

    Example:
        >>> import torch
        >>> layer_of("gru", torch.nn.GRU(3, 5, num_layers=2, bidirectional=True).state_dict())
        Recurrent(3, 5, num_layers=2, bidirectional=True)
    """
    ih, hh = (_matrix(weights, f"{name}_l0") for name in ("weight_ih", "weight_hh"))
    biases = sum(f"{name}_l0" in weights for name in ("bias_ih", "bias_hh"))
    equations = CELLS.resolve(cell)(ih.shape[1], hh.shape[1], biases=biases)
    layers = 0
    while f"weight_ih_l{layers}" in weights:
        layers += 1
    both = "weight_ih_l0_reverse" in weights
    layer = Recurrent(equations, layers, bidirectional=both, batch_first=batch_first, dtype=ih.dtype)
    return _loaded(layer, weights, cell)


def one_step_of(cell: str, weights: Mapping[str, Tensor]) -> OneStep:
    """Return the one-step cell of these weights: a cell's, or a layer's of one layer and direction."""
    plain = {name.removesuffix("_l0"): value for name, value in weights.items()}
    ih, hh = _matrix(plain, "weight_ih"), _matrix(plain, "weight_hh")
    biases = sum(name in plain for name in ("bias_ih", "bias_hh"))
    equations = CELLS.resolve(cell)(ih.shape[1], hh.shape[1], biases=biases)
    return _loaded(OneStep(equations, dtype=ih.dtype), plain, cell)


def _matrix(weights: Mapping[str, Tensor], name: str) -> Tensor:
    if name not in weights or weights[name].dim() != 2:
        raise ArgumentError(f"no matrix {name!r} among {', '.join(sorted(weights)) or 'no weights'}")
    return weights[name]


def _loaded(module: M, weights: Mapping[str, Tensor], cell: str) -> M:
    try:
        module.load_state_dict(dict(weights))
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip()
        raise ArgumentError(f"these are not the weights of a {cell} layer: {first}") from None
    return module
