"""The CPU kernel as torch custom operators: autograd, shapes without data, vmap onto the replica axis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch._C import _are_functorch_transforms_active
from torch.autograd import forward_ad

from memspan.kernels.cpu import call
from memspan.kernels.cpu.call import GRADIENTS, SPARSE, TENSORS, cell_of, parameters, plan_of
from memspan.kernels.cpu.folding import AXES, fold, fold_call, unfold
from memspan.kernels.cpu.layout import Above
from memspan.kernels.cpu.plan import Plan
from memspan.kernels.reference import unroll_reference
from memspan.transforms import is_plain, is_watched, legacy_level

COUNT = len(TENSORS)
KEEP = COUNT + 3  # the place of ``keep`` among an operator's arguments


def _unroll(
    x: Tensor, state: Tensor | None, weight_ih: Tensor, weight_hh: Tensor, bias_ih: Tensor | None,
    bias_hh: Tensor | None, own: Tensor | None, clocks: Tensor | None, times: Tensor | None,
    lengths: Tensor | None, resets: Tensor | None,
    variant: str, outputs: bool, states: bool, keep: bool, chunk: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """Unroll a cell as ``call.walk_forward`` does; an empty tensor where it gives none."""
    tensors = (
        x, state, weight_ih, weight_hh, bias_ih, bias_hh, own, clocks, times, lengths, resets,
    )  # fmt: skip
    every, last, others, saved = call.walk_forward(tensors, variant, outputs, states, keep, chunk)
    return (
        weight_hh.new_empty(0) if every is None else every,
        last,
        weight_hh.new_empty(0) if others is None else others,
        weight_hh.new_empty(0) if saved is None else saved,
    )


def _gradients(
    d_outputs: Tensor | None, d_last: Tensor | None, d_states: Tensor | None, saved: Tensor,
    x: Tensor, state: Tensor | None, weight_ih: Tensor, weight_hh: Tensor, bias_ih: Tensor | None,
    bias_hh: Tensor | None, own: Tensor | None, clocks: Tensor | None, times: Tensor | None,
    lengths: Tensor | None, resets: Tensor | None,
    variant: str, chunk: int, wants: list[bool],
) -> list[Tensor]:  # fmt: skip
    """Return the gradients as ``call.walk_backward`` does; an empty tensor where it gives none."""
    tensors = (
        x, state, weight_ih, weight_hh, bias_ih, bias_hh, own, clocks, times, lengths, resets,
    )  # fmt: skip
    h, rest = (None, None) if d_last is None else (d_last[0], d_last[1:] if len(d_last) > 1 else None)
    above = Above(d_outputs, h, rest, d_states)
    grads = call.walk_backward(above, saved, tensors, variant, chunk, wants)
    return [weight_hh.new_empty(0) if grad is None else grad for grad in grads]


unroll_op = torch.library.custom_op("memspan::unroll", _unroll, mutates_args=(), device_types="cpu")
unroll_backward_op = torch.library.custom_op(
    "memspan::unroll_backward", _gradients, mutates_args=(), device_types="cpu"
)


@unroll_op.register_fake
def _(  # type: ignore[no-untyped-def]
    x, state, weight_ih, weight_hh, bias_ih, bias_hh, own, clocks, times, lengths, resets,
    variant, outputs, states, keep, chunk,
):  # fmt: skip
    tensors = (
        x, state, weight_ih, weight_hh, bias_ih, bias_hh, own, clocks, times, lengths, resets,
    )  # fmt: skip
    plan = plan_of(tensors, variant, keep, chunk)
    R, T, B, H = plan.R, plan.T, plan.B, plan.H
    return (
        weight_hh.new_empty((R, T, B, H) if outputs else (0,)),
        weight_hh.new_empty((1 + len(plan.spec.carried), R, B, H)),
        weight_hh.new_empty((R, len(plan.spec.carried), T, B, H) if states else (0,)),
        weight_hh.new_empty((R, plan.tiles, _saved_size(plan, variant)) if keep else (0,)),
    )


def _saved_size(plan: Plan, variant: str) -> Any:
    """Return the floats a unit of work keeps; those of a sparse one follow from its clocks."""
    return torch.library.get_ctx().new_dynamic_size() if variant.endswith(SPARSE) else plan.saved_size


@unroll_backward_op.register_fake
def _(  # type: ignore[no-untyped-def]
    d_outputs, d_last, d_states, saved,
    x, state, weight_ih, weight_hh, bias_ih, bias_hh, own, clocks, times, lengths, resets,
    variant, chunk, wants,
):  # fmt: skip
    given = (x, state, weight_ih, weight_hh, bias_ih, bias_hh, own, clocks)
    return [weight_hh.new_empty(t.shape if w else (0,)) for t, w in zip(given, wants, strict=True)]


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.save_for_backward(*inputs[:COUNT], output[3])
    ctx.options = inputs[COUNT:]
    ctx.mark_non_differentiable(output[3])
    ctx.set_materialize_grads(False)


def _backward(
    ctx: Any, d_outputs: Tensor | None, d_last: Tensor | None, d_states: Tensor | None, _: Any = None
) -> tuple[Tensor | None, ...]:
    *given, saved = ctx.saved_tensors
    variant, outputs, states, _, chunk = ctx.options
    wants = [bool(want) for want in ctx.needs_input_grad[: len(GRADIENTS)]]
    made = call_backward(
        d_outputs if outputs else None, d_last, d_states if states else None, saved, *given,
        variant, chunk, wants,
    )  # fmt: skip
    return (*(grad if want else None for grad, want in zip(made, wants, strict=True)), *([None] * 8))


unroll_op.register_autograd(_backward, setup_context=_setup)


def _setup_twice(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    ctx.save_for_backward(*inputs[:3], *inputs[4 : 4 + COUNT])
    ctx.variant, ctx.wants = inputs[4 + COUNT], inputs[6 + COUNT]


def _backward_twice(ctx: Any, above: list[Tensor | None]) -> tuple[Any, ...]:
    """Differentiate the gradients: those of the reference loop, which are the same function."""
    fixed, wants = ctx.saved_tensors[-3:], ctx.wants
    tensors = ctx.saved_tensors[:-3]
    floats = [t is not None and t.dtype.is_floating_point for t in tensors]
    inputs = [t for t, use in zip(tensors, floats, strict=True) if use]

    def gradients(*inputs: Tensor) -> tuple[Tensor, ...]:
        left = iter(inputs)
        whole = [next(left) if use else t for t, use in zip(tensors, floats, strict=True)]
        found = _reference_gradients(ctx.variant, whole[:3], whole[3:], *fixed)
        return tuple(g for g, want in zip(found, wants, strict=True) if want and g is not None)

    def pull(*above: Tensor) -> Sequence[Tensor]:
        made: Sequence[Tensor] = torch.func.vjp(gradients, *inputs)[1](above)
        return made

    wanted = [g for g, want in zip(above, wants, strict=True) if want and g is not None]
    level = legacy_level(*wanted)
    found = iter(_through_vmap(pull, level, wanted) if level else pull(*wanted))
    grads: list[Any] = [next(found) if use else None for use in floats]
    return (*grads[:3], None, *grads[3:], *([None] * 6))


def _reference_gradients(
    variant: str, above: list[Tensor | None], given: list[Any], times: Tensor | None,
    lengths: Tensor | None, resets: Tensor | None,
) -> list[Tensor | None]:  # fmt: skip
    """Return the gradients of ``GRADIENTS`` as the reference loop gives them."""
    biases = sum(b is not None for b in given[4:6])
    cell = cell_of(variant, given[2].shape[-1], given[3].shape[-1], biases)
    used = [t is not None and t.dtype.is_floating_point for t in given]
    d_outputs, d_last, d_states = above

    def forward(*inputs: Tensor) -> tuple[Tensor, ...]:
        left = iter(inputs)
        x, state, *weights = [next(left) if use else t for t, use in zip(given, used, strict=True)]
        p = parameters(cell, weights)
        if state is None:
            state = x.new_zeros(
                (len(cell.states), x.shape[0], x.shape[2], cell.hidden_size), dtype=given[3].dtype
            )
        every, last, states, _ = unroll_reference(
            cell, p, x, tuple(state.unbind(0)), times=times, lengths=lengths, resets=resets
        )
        out = [torch.stack(last)] if d_last is not None else []
        if d_outputs is not None:
            out.append(every)
        if d_states is not None:
            out.append(torch.stack([states[name] for name in cell.states[1:]], 1))
        return tuple(out)

    pull = torch.func.vjp(forward, *(t for t, use in zip(given, used, strict=True) if use))[1]
    found = iter(pull(tuple(d for d in (d_last, d_outputs, d_states) if d is not None)))
    return [next(found) if use else None for use in used]


unroll_backward_op.register_autograd(_backward_twice, setup_context=_setup_twice)


def _vmap(info: Any, in_dims: Any, *args: Any) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
    folded = fold_call(args[:COUNT], in_dims[:COUNT], info.batch_size)
    made = _call_operator(*folded, *args[COUNT:])
    parts = [unfold(t, info.batch_size, axis) for t, axis in zip(made, (0, 1, 0, 0), strict=True)]
    return tuple(part[0] for part in parts), tuple(part[1] for part in parts)


unroll_op.register_vmap(_vmap)


def _vmap_backward(info: Any, in_dims: Any, *args: Any) -> tuple[list[Tensor], list[int]]:
    above = [
        fold(t, d, info.batch_size, axis)
        for t, d, axis in zip(args[:4], in_dims[:4], (0, 1, 0, 0), strict=True)
    ]
    folded = fold_call(args[4 : 4 + COUNT], in_dims[4 : 4 + COUNT], info.batch_size)
    made = call_backward(*above, *folded, *args[4 + COUNT :])
    parts = [unfold(t, info.batch_size, axis) for t, axis in zip(made, AXES, strict=False)]
    return [part[0] for part in parts], [part[1] for part in parts]


unroll_backward_op.register_vmap(_vmap_backward)


def _is_direct(*tensors: Tensor | None) -> bool:
    """Whether the numbers are at hand and nobody else must see what is done with them."""
    return not is_watched() and is_plain(*tensors)


class _Unroll(torch.autograd.Function):
    """The operator without its dispatch, and for ``torch.func``, which sees no operator's autograd."""

    backward = staticmethod(_backward)
    setup_context = staticmethod(_setup)
    vmap = staticmethod(_vmap)

    @staticmethod
    def forward(*args: Any) -> Any:
        return _unroll(*args) if _is_direct(*args[:COUNT]) else unroll_op(*args)


class _Backward(torch.autograd.Function):
    """The same for the operator of the gradients."""

    setup_context = staticmethod(lambda ctx, inputs, output: _setup_twice(ctx, inputs, list(output)))
    backward = staticmethod(lambda ctx, *above: _backward_twice(ctx, list(above)))

    @staticmethod
    def forward(*args: Any) -> Any:
        direct = _is_direct(*args[: 4 + COUNT])
        return tuple(_gradients(*args) if direct else unroll_backward_op(*args))

    @staticmethod
    def vmap(info: Any, in_dims: Any, *args: Any) -> Any:
        """Return the results and their dimensions as tuples."""
        return tuple(tuple(part) for part in _vmap_backward(info, in_dims, *args))


class _Direct(torch.autograd.Function):
    """The operator where no transform is around it: torch then looks up nothing but this.

    Every last state is an output of its own: taken from one tensor, their gradients would be stacked again.
    """

    @staticmethod
    def forward(ctx: Any, *args: Any) -> Any:
        given, ctx.options = args[:COUNT], args[COUNT:]
        every, last, others, saved = call.walk_forward(given, *ctx.options)
        ctx.save_for_backward(*given, saved)
        ctx.set_materialize_grads(False)
        return every, others, *last.unbind(0)

    @staticmethod
    def backward(ctx: Any, d_outputs: Tensor | None, d_states: Tensor | None, *parts: Tensor | None) -> Any:
        if torch.is_grad_enabled() or not _is_direct(d_outputs, d_states, *parts):
            return _backward(ctx, d_outputs, _stacked(parts), d_states)
        *given, saved = ctx.saved_tensors
        if not is_plain(*given, saved):  # a hook for saved tensors may bring others than were saved
            return _backward(ctx, d_outputs, _stacked(parts), d_states)
        variant, *_, chunk = ctx.options
        h, *rest = parts
        above = Above(d_outputs, h, _stacked(rest), d_states)
        wants = ctx.needs_input_grad[: len(GRADIENTS)]
        return (*call.walk_backward(above, saved, tuple(given), variant, chunk, wants), *([None] * 8))


def _stacked(parts: Sequence[Tensor | None]) -> Tensor | None:
    """Return the gradients of states in one tensor, zero where one has none; None where none has."""
    found = [part for part in parts if part is not None]
    if not found:
        return None
    if len(parts) == 1:
        return found[0].unsqueeze(0)
    return torch.stack([torch.zeros_like(found[0]) if part is None else part for part in parts])


def call_unroll(*args: Any) -> tuple[Any, Any, tuple[Tensor, ...]]:
    """Call the kernel in a way that every transform around it understands.

    Returns:
        outputs, carried states, each last state; None or an empty tensor for what was not wanted.
    """
    given = args[:COUNT]
    if not _is_direct(*given):
        every, last, others, _ = _call_operator(*args)
    elif args[KEEP]:
        every, others, *parts = _Direct.apply(*args)
        return every, others, tuple(parts)
    else:
        every, last, others, _ = call.walk_forward(given, *args[COUNT:])
    return every, others, last.unbind(0)


def _call_operator(*args: Any) -> tuple[Any, Tensor, Any, Any]:
    """Call what stands for the operator under ``torch.func``, or the operator itself for everybody else."""
    return (_Unroll.apply if _sees_functions() else unroll_op)(*args)


def _sees_functions() -> bool:
    """Whether ``torch.func`` is around, which sees an autograd function and no operator's autograd."""
    return not torch.compiler.is_compiling() and _are_functorch_transforms_active()


def call_backward(*args: Any) -> Sequence[Tensor]:
    """Call the kernel's gradients in a way that every transform around them understands.

    Returns:
        A gradient for each of ``GRADIENTS``, an empty tensor for one that was not wanted.
    """
    if torch.compiler.is_compiling():
        return unroll_backward_op(*args)
    tensors = args[: 4 + COUNT]
    if forward_ad._current_level >= 0:  # tangents come with the gradients: the reference carries them on
        *above, _ = args[:4]
        variant, _, wants = args[4 + COUNT :]
        found = _reference_gradients(variant, above, list(args[4 : 4 + len(GRADIENTS)]), *args[4 + len(GRADIENTS) : 4 + COUNT])
        return [args[7].new_empty(0) if g is None or not want else g for g, want in zip(found, wants, strict=True)]
    if level := legacy_level(*tensors):
        return _through_vmap(call_backward, level, args)
    return (_Backward.apply if _sees_functions() or is_plain(*tensors) else unroll_backward_op)(*args)


def _through_vmap(function: Callable[..., Any], level: int, args: Sequence[Any]) -> list[Tensor]:
    """Call a function under ``torch.vmap`` where torch's autograd maps by the older kind, of ``is_grads_batched``."""
    physical = [torch._remove_batch_dim(t, level, 0, 0) if isinstance(t, Tensor) else t for t in args]
    mapped = [isinstance(p, Tensor) and p.shape[:1] != (0,) for p in physical]  # the others gain an empty axis
    given = [p if use else t for t, p, use in zip(args, physical, mapped, strict=True)]
    dims = tuple(0 if use else None for use in mapped)
    made = torch.vmap(lambda *inner: tuple(function(*inner)), in_dims=dims)(*given)
    return [torch._add_batch_dim(t, 0, level) for t in made]
