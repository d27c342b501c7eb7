"""The way from a caller's tensors to the kernels' (R, T, B, ·) and back."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Layout:
    """Which axes a call's tensors have.

    Args:
        replicas: every tensor has a leading axis R.
        batch_first: batch before time, for a batched input only.
        batched: there is an axis B.
    """

    replicas: bool
    batch_first: bool
    batched: bool

    def inward(self, x: Tensor) -> Tensor:
        """Return (R?, T, B?, ·) as (R, T, B, ·)."""
        x = x if self.replicas else x.unsqueeze(0)
        if not self.batched:
            return x.unsqueeze(-2)
        return x.transpose(1, 2) if self.batch_first else x

    def outward(self, x: Tensor) -> Tensor:
        """Return (R, T, B, ·) in the caller's layout."""
        if not self.batched:
            x = x.squeeze(-2)
        elif self.batch_first:
            x = x.transpose(1, 2)
        return x if self.replicas else x.squeeze(0)

    def marks_inward(self, marks: Tensor) -> Tensor:
        """Return one value a step, (R?, T, B?), as (R, T, B)."""
        return self.inward(marks.unsqueeze(-1)).squeeze(-1)

    def marks_outward(self, marks: Tensor) -> Tensor:
        """Return one value a step, (R, T, B), in the caller's layout."""
        return self.outward(marks.unsqueeze(-1)).squeeze(-1)

    def state_inward(self, s: Tensor) -> Tensor:
        """Return (R?, layers·directions, B?, H) as (R, layers·directions, B, H)."""
        s = s if self.replicas else s.unsqueeze(0)
        return s if self.batched else s.unsqueeze(-2)

    def state_outward(self, s: Tensor) -> Tensor:
        """Return (R, layers·directions, …, B, H) in the caller's layout; ``batch_first`` moves no state."""
        s = s if self.batched else s.squeeze(-2)
        return s if self.replicas else s.squeeze(0)
