"""The one place where a tensor becomes a data pointer.

A kernel sees addresses only: whatever does not have the dtype, the size and the layout that the plan says
would be read or written past its end, or hold other numbers than it seems to. So nothing else in this package
takes the address of a tensor that came from outside.
"""

from __future__ import annotations

import torch
from torch import Tensor

from memspan.errors import KernelRefusal

Expected = tuple[torch.dtype, int]  # and the number of elements


def pointers(
    tensors: dict[str, Tensor | None], expected: dict[str, Expected], names: dict[str, int]
) -> list[int]:
    """Return the data pointers of a call's tensors in the places that ``names`` gives them, 0 for none.

    Raises:
        KernelRefusal: a tensor is not what the plan says.
    """
    found = [0] * len(names)
    for name, tensor in tensors.items():
        if tensor is not None:
            found[names[name]] = pointer(name, tensor, expected[name])
    return found


def pointer(name: str, tensor: Tensor | None, expected: Expected) -> int:
    """Return the data pointer of a contiguous tensor, 0 for none.

    Raises:
        KernelRefusal: the tensor is not what the plan says.
    """
    if tensor is None:
        return 0
    dtype, size = expected
    if tensor.dtype is not dtype or tensor.numel() != size or not tensor.is_contiguous():
        raise KernelRefusal(_mismatch(name, tensor, expected))
    address = tensor.data_ptr()
    if not address and size:
        raise KernelRefusal(f"{name} has no memory of its own; materialise it, for instance by .clone()")
    return address


def pointer_of_views(name: str, tensor: Tensor | None, expected: Expected, row: int) -> int:
    """Return the data pointer of a tensor whose replicas are contiguous and lie ``row`` bytes apart."""
    if tensor is None:
        return 0
    dtype, size = expected
    apart = len(tensor) > 1 and tensor.stride(0) * tensor.element_size() != row
    if tensor.dtype is not dtype or tensor.numel() != size or apart or not tensor[0].is_contiguous():
        raise KernelRefusal(_mismatch(name, tensor, expected))
    return tensor.data_ptr()


def kept(saved: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Return what a call kept for backward, contiguous: hooks and transforms may bring other strides.

    Raises:
        KernelRefusal: it was not kept, or it was changed.
    """
    size = torch.Size(shape).numel()
    if size and not saved.numel():
        raise KernelRefusal(
            "backward needs what forward was not asked to keep: no tensor of that call wanted a gradient"
        )
    if saved.dtype != torch.float32 or saved.shape != shape:
        raise KernelRefusal(_mismatch("saved", saved, (torch.float32, size)))
    return saved.contiguous()


def _mismatch(name: str, tensor: Tensor, expected: Expected) -> str:
    dtype, size = expected
    layout = "" if tensor.is_contiguous() else ", not contiguous"
    return (
        f"{name} has dtype {tensor.dtype} and shape {tuple(tensor.shape)}{layout}; the kernel expects "
        f"{dtype} and {size} contiguous numbers. Was it changed between forward and backward, for instance "
        "by a saved-tensor hook?"
    )
