"""Tensors of equal values whose memory lies in other ways."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn


class Labelled(Tensor):
    """A subclass of Tensor as a caller may bring one."""


class LabelledParameter(nn.Parameter):
    """A subclass of Parameter as a caller may bring one."""


def arranged(values: np.ndarray, layout: str, g: np.random.Generator) -> Tensor:
    """Return a tensor in a layout; ``expanded`` and ``zero`` change the values to what they can hold."""
    plain = torch.from_numpy(np.ascontiguousarray(values))
    if not plain.dim() or layout == "contiguous":
        return plain
    axis = int(g.integers(plain.dim()))
    if layout == "transposed":
        other = int(g.integers(plain.dim()))
        return plain.transpose(axis, other).contiguous().transpose(axis, other)
    if layout == "expanded":
        if not plain.shape[axis]:
            return plain
        return plain.narrow(axis, 0, 1).clone().expand(plain.shape)
    if layout == "offset":
        room = plain.new_full((plain.numel() + 7,), 77)
        room[3 : 3 + plain.numel()] = plain.flatten()
        return room[3 : 3 + plain.numel()].view(plain.shape)
    if layout == "strided":
        room = plain.new_full((*plain.shape[:axis], 2 * plain.shape[axis], *plain.shape[axis + 1 :]), 77)
        part = room.unflatten(axis, (plain.shape[axis], 2)).select(axis + 1, 1)
        part.copy_(plain)
        return part
    return _of_other_kind(plain, layout)


def _of_other_kind(plain: Tensor, layout: str) -> Tensor:
    """Return a tensor that says in other ways than by strides what it holds."""
    if not plain.is_floating_point():
        return plain
    if layout == "negative":
        return torch.complex(torch.zeros_like(plain), -plain).conj().imag
    if layout == "zero":
        return torch._efficientzerotensor(plain.shape, dtype=plain.dtype)
    if layout == "subclass":
        return plain.as_subclass(Labelled)
    return LabelledParameter(plain, requires_grad=False)
