"""What the checks of a call must know of a layer."""

from __future__ import annotations

from typing import Any, Protocol

from torch import Tensor

from memspan.cells.cell import Cell


class Form(Protocol):
    """The sizes and switches of a layer."""

    cell: Cell
    input_size: int
    hidden_size: int
    num_layers: int
    directions: int
    batch_first: bool
    bidirectional: bool
    replicas: int | None
    trainable_state: bool

    @property
    def weight(self) -> Tensor:
        """The parameter whose dtype and device are the layer's."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the layer over a whole sequence."""
