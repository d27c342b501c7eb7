"""Where vmap's dimension goes: beside the replicas, which every kernel has anyway."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from memspan.kernels.cpu.call import TENSORS

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
    """Fold the tensors of a call; times that all members and rows share stay as they are."""
    folded = [fold(t, d, size, axis) for t, d, axis in zip(tensors, dims, AXES, strict=True)]
    times, dim = tensors[8], dims[8]
    if times is None or (dim is None and times.dim() == 1):
        folded[8] = times
    elif times.dim() == 2:
        R, T, B = folded[0].shape[:3]
        times = times.movedim(dim, 0).reshape(size, 1, T, 1)
        folded[8] = times.expand(size, R // size, T, B).reshape(R, T, B)
    return folded
