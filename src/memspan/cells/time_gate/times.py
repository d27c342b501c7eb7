"""Timestamps a clock can read."""

from __future__ import annotations

import torch
from torch import Tensor

from memspan.errors import ArgumentError, ShapeError
from memspan.transforms import is_readable


def check_times(times: Tensor) -> None:
    """Refuse timestamps that no clock can read. Decreasing ones are allowed: a clock has no memory.

    Under ``torch.compile`` and ``torch.func`` transforms only the dtype is looked at.

    Raises:
        ShapeError: a dtype that is neither real nor whole.
        ArgumentError: NaN or infinity, or a time beyond which its dtype leaves whole numbers out
            (2²⁴ for float32, 2⁵³ for float64 and whole numbers, which are read as float64).
    """
    if times.dtype == torch.bool or times.dtype.is_complex:
        raise ShapeError(f"times have dtype {times.dtype}; expected real or whole numbers")
    if not is_readable(times) or not times.numel():
        return
    low, high = (value.item() for value in times.detach().aminmax())
    if not (abs(low) < float("inf") and abs(high) < float("inf")):
        raise ArgumentError("times hold NaN or infinity; expected a finite timestamp for every step")
    limit = largest_time(times.dtype)
    if max(abs(low), abs(high)) > limit:
        worst = low if abs(low) > abs(high) else high
        raise ArgumentError(
            f"times reach {worst:.10g} in {str(times.dtype).removeprefix('torch.')}, which tells steps of 1"
            f" apart up to {limit:.0f} only; give times as torch.float64, or count from a later origin"
        )


def largest_time(dtype: torch.dtype) -> float:
    """Return the time up to which a dtype holds every whole number; whole numbers are read as float64.

    Example:
        >>> largest_time(torch.float32) == 2**24
        True
    """
    return 2 / torch.finfo(dtype if dtype.is_floating_point else torch.float64).eps
