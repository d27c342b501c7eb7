"""Time turned around, every row within its own length."""

from __future__ import annotations

import torch
from torch import Tensor


class Turn:
    """Reverses (R, T, B, …) along time; applied twice it changes nothing.

    Args:
        lengths: (R, B); step t of a row of n steps becomes step n − 1 − t and what lies past n stays where
            it is. None: every row has T steps.
        steps: T.
    """

    def __init__(self, lengths: Tensor | None, steps: int) -> None:
        self.order = None if lengths is None else _order(lengths, steps)

    def __call__(self, x: Tensor) -> Tensor:
        """Return x (R, T, B) or (R, T, B, ·) turned around."""
        if self.order is None:
            return x.flip(1)
        rows = x.reshape(x.shape[0] * x.shape[1] * x.shape[2], *x.shape[3:])
        return rows.index_select(0, self.order).view(x.shape)


def _order(lengths: Tensor, steps: int) -> Tensor:
    """Return which of the R·T·B steps comes to each place; copying whole rows is faster than a gather."""
    (R, B), device = lengths.shape, lengths.device
    t, n = torch.arange(steps, device=device).view(1, -1, 1), lengths.unsqueeze(1)
    turned = torch.where(t < n, n - 1 - t, t)
    pack = torch.arange(R, device=device).view(-1, 1, 1)
    return ((pack * steps + turned) * B + torch.arange(B, device=device)).flatten()
