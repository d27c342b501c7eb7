"""From a run's page to its network: cells, or a layer of your own."""

from __future__ import annotations

from torch import nn

from memspan.cells import CELLS
from memspan.config import RunConfig
from memspan.models.own_layer import OwnLayer
from memspan.models.sequence import SequenceModel


def model_of(run: RunConfig) -> SequenceModel:
    """Build the network a run describes.

    Raises:
        ArgumentError: a cell by its path that cannot be imported or used.
    """
    found = CELLS.resolve(run.recipe.cell)
    if isinstance(found, type) and issubclass(found, nn.Module):
        return OwnLayer.of(run)
    return SequenceModel.of(run)
