"""The clocks of a network with time gates: which of their parameters stay frozen, and how they spread."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from memspan.cells.time_gate.equations import TimeGate
from memspan.config import Learned
from memspan.models.sequence import SequenceModel, in_layer

PARTS = {"period": "log_period", "shift": "shift", "open_ratio": "open_logit"}
QUANTILES = (10, 50, 90)


def frozen(model: SequenceModel, learned: Learned) -> list[str]:
    """Return the parameters of clocks that a recipe does not train."""
    kept = [name for part, name in PARTS.items() if learned not in ("all", part)]
    return [in_layer(name, k) for k in _gated(model) for name in kept]


def spread(model: SequenceModel, p: Mapping[str, Tensor], when: str) -> dict[str, float]:
    """Return the quantiles of a replica's periods and open ratios, ``period_p50_end`` and so on.

    Args:
        p: name → one replica's parameter.
        when: the last part of the names.
    """
    clocks = [_clocks(model, p, k) for k in _gated(model)]
    if not clocks:
        return {}
    periods, _, ratios = (torch.cat(parts).numpy() for parts in zip(*clocks, strict=True))
    return {
        f"{name}_p{q}_{when}": float(np.percentile(values, q))
        for name, values in (("period", periods), ("open_ratio", ratios))
        for q in QUANTILES
    }


def _gated(model: SequenceModel) -> list[int]:
    return [k for k, cell in enumerate(model.cells) if isinstance(cell, TimeGate)]


@torch.no_grad()
def _clocks(model: SequenceModel, p: Mapping[str, Tensor], k: int) -> tuple[Tensor, Tensor, Tensor]:
    cell = model.cells[k]
    assert isinstance(cell, TimeGate)
    return cell.clocks_of({name: p[in_layer(name, k)] for name in PARTS.values()})
