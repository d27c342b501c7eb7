"""What surrounds a call: transforms, dispatch modes and tracers, and whether a tensor's numbers can be read.

A compiled kernel reads data pointers. That is right for plain eager calls only: under ``torch.func``, a
dispatch mode (fake tensors, ``make_fx``), ``torch.jit.trace`` or ``torch.compile`` somebody else must see
every operation, and the tensors at hand may be placeholders. Both questions are answered here, once.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch._C import DispatchKey, _are_functorch_transforms_active, _dispatch_keys, _len_torch_dispatch_stack
from torch._C._functorch import TransformType, get_unwrapped, is_functorch_wrapped_tensor
from torch._functorch.pyfunctorch import retrieve_all_functorch_interpreters
from torch.autograd import forward_ad
from torch.nn import Parameter

_FAKE = torch._C._TorchDispatchModeKey.FAKE
_KINDS = (Tensor, Parameter)


def _plain_keys() -> frozenset[int]:
    """Return the dispatch keys of dense CPU tensors with numbers, made outside and in inference mode.

    Every other kind of tensor differs in a key: other devices and layouts, subclasses, mapped and functional
    tensors, lazily negated or conjugated views, zero tensors without memory.
    """
    with torch.inference_mode(False):
        usual = torch.empty(0, device="cpu")
    with torch.inference_mode():
        inference = torch.empty(0, device="cpu")
    return frozenset(_dispatch_keys(t).raw_repr() for t in (usual, inference))


_PLAIN = _plain_keys()


def is_plain(*tensors: Tensor | None) -> bool:
    """Return whether every tensor is a dense CPU tensor whose data pointer leads to its numbers."""
    for t in tensors:  # a loop, not all(…): this stands before every call of a kernel
        if t is not None and not (type(t) in _KINDS and _dispatch_keys(t).raw_repr() in _PLAIN):
            return False
    return True


def is_watched() -> bool:
    """Return whether a transform, a mode or a tracer must see the operations of this call.

    ``torch.compile`` traces the first test alone, which is true there.
    """
    return (
        torch.compiler.is_compiling()
        or _are_functorch_transforms_active()
        or _len_torch_dispatch_stack() > 0
        or torch._C._get_tracing_state() is not None
        or forward_ad._current_level >= 0
    )


def is_tracing() -> bool:
    """Return whether a program is being recorded, so that no decision may follow from a tensor's numbers."""
    return (
        torch.compiler.is_compiling()
        or _len_torch_dispatch_stack() > 0
        or torch._C._get_tracing_state() is not None
    )


def is_readable(tensor: Tensor) -> bool:
    """Return whether a decision may follow from the numbers of a tensor."""
    return not (is_tracing() or is_functorch_wrapped_tensor(tensor)) and has_numbers(tensor)


def has_numbers(tensor: Tensor) -> bool:
    """Return whether a tensor is more than a shape, as fake tensors and those on the device meta are not."""
    return tensor.device.type != "meta" and not _dispatch_keys(tensor).has(DispatchKey.Python)


def allows_open_sizes(tensor: Tensor) -> bool:
    """Return whether the size of a result may follow from numbers.

    A fake tensor has none, but its mode may name such sizes and leave them open.
    """
    if torch.compiler.is_compiling():
        return False
    mode = torch._C._get_dispatch_mode(_FAKE) or getattr(tensor, "fake_mode", None)
    if mode is None:
        return has_numbers(tensor)
    return getattr(mode.shape_env, "allow_dynamic_output_shape_ops", False)


def wants_gradient(*tensors: Tensor | None) -> bool:
    """Return whether anybody may differentiate by one of the tensors, at whatever level of ``torch.func``.

    A mapped tensor says ``requires_grad`` of its own level only: the leaf below it may belong to an autograd
    that runs outside the transform. Inside ``grad`` or ``vjp`` the gradient mode of the innermost level says
    nothing of the others, so there it does not count: keeping too much is right, keeping too little is not.
    The same holds for a program that is recorded now and differentiated later.
    """
    if not is_watched() or torch.compiler.is_compiling():
        return torch.is_grad_enabled() and _requires_grad(tensors)
    if _is_recording():
        return True
    if not torch.is_grad_enabled() and not is_differentiating():
        return False
    return any(_requires_grad_below(t) for t in tensors if t is not None)


def _requires_grad(tensors: Iterable[Tensor | None]) -> bool:
    return any(t is not None and t.requires_grad for t in tensors)


def _is_recording() -> bool:
    proxies = torch._C._get_dispatch_mode(torch._C._TorchDispatchModeKey.PROXY)
    return proxies is not None or torch._C._get_tracing_state() is not None


def is_functionalizing() -> bool:
    """Return whether ``torch.func.functionalize`` is under way, which knows no autograd function."""
    return not torch.compiler.is_compiling() and TransformType.Functionalize in _kinds()


def _kinds() -> set[TransformType]:
    if not _are_functorch_transforms_active():
        return set()
    return {level.key() for level in retrieve_all_functorch_interpreters()}


@torch.compiler.assume_constant_result
def is_differentiating() -> bool:
    """Return whether a derivative of ``torch.func`` is under way, also while ``torch.compile`` traces."""
    return bool(_kinds() - {TransformType.Vmap})


def _requires_grad_below(tensor: Tensor) -> bool:
    while is_functorch_wrapped_tensor(tensor):
        if tensor.requires_grad:
            return True
        tensor = get_unwrapped(tensor)
    return tensor.requires_grad


def legacy_level(*tensors: Tensor | None) -> int:
    """Return the level of the older vmap that maps one of the tensors, 0 for none.

    ``torch.autograd.grad(is_grads_batched=True)`` and ``jacobian(vectorize=True)`` map gradients with it; it
    knows no operator and no autograd function.
    """
    level: int = torch._C._vmapmode_increment_nesting() - 1
    torch._C._vmapmode_decrement_nesting()
    if level and any(t is not None and " Batched" in str(_dispatch_keys(t)) for t in tensors):
        return level
    return 0
