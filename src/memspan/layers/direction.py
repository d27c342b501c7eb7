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
        self.order: Tensor | None = None
        if lengths is not None:
            t = torch.arange(steps, device=lengths.device).view(1, -1, 1)
            n = lengths.unsqueeze(1)
            self.order = torch.where(t < n, n - 1 - t, t)

    def __call__(self, x: Tensor) -> Tensor:
        """Return x (R, T, B) or (R, T, B, ·) turned around."""
        if self.order is None:
            return x.flip(1)
        order = self.order if x.dim() == 3 else self.order.unsqueeze(-1).expand(-1, -1, -1, x.shape[-1])
        return x.gather(1, order)
