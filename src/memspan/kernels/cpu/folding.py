"""Where vmap's dimension goes: beside the replicas, which every kernel has anyway."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from memspan.kernels.cpu.call import TENSORS

TIMES = TENSORS.index("times")
AXES = (0, 1, *[0] * (len(TENSORS) - 2))  # where every tensor has its replicas


def fold(tensor: Any, dim: int | None, size: int, axis: int) -> Any:
    """Return a tensor whose mapped dimension lies in its replica axis."""
    if not isinstance(tensor, Tensor):
        return tensor
    if dim is None:
        tensor = tensor.unsqueeze(axis).expand(*tensor.shape[:axis], size, *tensor.shape[axis:])
    else:
        tensor = tensor.movedim(dim, axis)
    return tensor.flatten(axis, axis + 1)


def unfold(tensor: Tensor, size: int, axis: int) -> tuple[Tensor, int]:
    """Return a result with the mapped dimension apart again, and where it is."""
    if tensor.dim() <= axis:  # nothing was wanted: one empty tensor a member
        return tensor.new_empty(size, 0), 0
    return tensor.unflatten(axis, (size, tensor.shape[axis] // size)), axis


def fold_call(tensors: Sequence[Any], dims: Sequence[int | None], size: int) -> list[Any]:
    """Fold the tensors of a call.

    Times (T,) that every member shares stay shared; where each member has its own, all its replicas get them.
    """
    folded = [fold(t, d, size, axis) for t, d, axis in zip(tensors, dims, AXES, strict=True)]
    times, dim = tensors[TIMES], dims[TIMES]
    if times is None or times.dim() - (dim is not None) > 1:
        return folded
    replicas = folded[0].shape[0] // size
    folded[TIMES] = times if dim is None else times.movedim(dim, 0).repeat_interleave(replicas, 0)
    return folded
