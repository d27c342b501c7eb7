"""The CPU kernel as torch custom operators: autograd, shapes without data, vmap onto the replica axis."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, cast

import torch
from torch import Tensor
from torch._C import _are_functorch_transforms_active
from torch.nn import Parameter

from memspan import simd
from memspan.cells import CELLS
from memspan.cells.cell import Cell
from memspan.kernels.cpu import engine
from memspan.kernels.cpu.spec import Spec, spec_for
from memspan.kernels.reference import check_values, unroll_reference

GRADIENTS = ("x", "state", "weight_ih", "weight_hh", "bias_ih", "bias_hh")


def variant_of(cell: Cell) -> str:
    """Return the name under which an operator finds the cell's equations again."""
    return f"{cell.name}:{getattr(cell, 'nonlinearity', '')}"


def cell_of(variant: str, D: int, H: int, biases: int) -> Cell:
    """Return the cell of a variant."""
    name, nonlinearity = variant.split(":")
    extra = {"nonlinearity": nonlinearity} if nonlinearity else {}
    return CELLS.resolve(name)(D, H, biases=biases, **extra)


_SPECS: dict[str, Spec] = {}


def _spec(variant: str) -> Spec:
    if variant not in _SPECS:
        _SPECS[variant] = spec_for(cell_of(variant, 1, 1, 0), simd.LANES)
    return _SPECS[variant]


def _plan(
    x: Tensor, weight_ih: Tensor, weight_hh: Tensor, lengths: Tensor | None, resets: Tensor | None,
    variant: str, keep: bool, chunk: int,
) -> engine.Plan:  # fmt: skip
    R, T, B, *size = x.shape
    D, V = (size[0], 0) if size else (0, weight_ih.shape[-1])
    facts = (R, T, B, D, weight_hh.shape[-1], V)
    make = _cached_plan if all(type(size) is int for size in facts) else _make_plan
    return make(variant, facts, keep, chunk, resets is not None, lengths is not None)


def _make_plan(
    variant: str, facts: tuple[int, int, int, int, int, int], keep: bool, chunk: int,
    resets: bool, ragged: bool,
) -> engine.Plan:  # fmt: skip
    """Return the plan of a shape; a chunk below 0 is decided by memory."""
    plan = engine.Plan(_spec(variant), *facts, keep, 0, resets, ragged)
    steps = 0 if not keep else engine.auto_chunk(plan) if chunk < 0 else chunk
    return dataclasses.replace(plan, chunked=engine.round_up(steps, plan.ring)) if steps else plan


_cached_plan = functools.lru_cache(maxsize=512)(_make_plan)


def _unroll(
    x: Tensor, state: Tensor | None, weight_ih: Tensor, weight_hh: Tensor, bias_ih: Tensor | None,
    bias_hh: Tensor | None, lengths: Tensor | None, resets: Tensor | None,
    variant: str, outputs: bool, states: bool, keep: bool, chunk: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """Unroll a cell; return outputs, last states, carried states, and what backward needs."""
    plan = _plan(x, weight_ih, weight_hh, lengths, resets, variant, keep, chunk)
    given = _given(x, state, weight_ih, weight_hh, bias_ih, bias_hh, lengths, resets)
    made = engine.run_forward(plan, given, outputs, states)
    return made[0], made[1], made[2], made[3]


def _gradients(
    d_outputs: Tensor | None, d_last: Tensor | None, d_states: Tensor | None, saved: Tensor,
    x: Tensor, state: Tensor | None, weight_ih: Tensor, weight_hh: Tensor, bias_ih: Tensor | None,
    bias_hh: Tensor | None, lengths: Tensor | None, resets: Tensor | None,
    variant: str, chunk: int, wants: list[bool],
) -> list[Tensor]:  # fmt: skip
    """Return the gradients of ``GRADIENTS``; an empty tensor where one is not wanted."""
    plan = _plan(x, weight_ih, weight_hh, lengths, resets, variant, True, chunk)
    given = _given(x, state, weight_ih, weight_hh, bias_ih, bias_hh, lengths, resets)
    want = dict(zip(GRADIENTS, wants, strict=True))
    from_above = [None if d is None else d.contiguous() for d in (d_outputs, d_last, d_states)]
    grads = engine.run_backward(plan, given, saved, from_above, want)
    return [grads[name] if want[name] else weight_hh.new_empty(0) for name in GRADIENTS]


def _given(x: Tensor, *rest: Tensor | None) -> engine.Given:
    lengths = rest[5]
    if not x.dtype.is_floating_point:
        x = x.to(torch.int64)
    weight_ih = cast(Tensor, rest[1])
    check_values(x, weight_ih.shape[-1], lengths)
    whole: list[Any] = [None if t is None else t.contiguous() for t in rest]
    return engine.Given(x.contiguous(), *whole)


unroll_op = torch.library.custom_op("memspan::unroll", _unroll, mutates_args=(), device_types="cpu")
unroll_backward_op = torch.library.custom_op(
    "memspan::unroll_backward", _gradients, mutates_args=(), device_types="cpu"
)


@unroll_op.register_fake
def _(  # type: ignore[no-untyped-def]
    x, state, weight_ih, weight_hh, bias_ih, bias_hh, lengths, resets, variant, outputs, states, keep, chunk
):
    plan = _plan(x, weight_ih, weight_hh, lengths, resets, variant, keep, chunk)
    R, T, B, H = plan.R, plan.T, plan.B, plan.H
    return (
        weight_hh.new_empty((R, T, B, H) if outputs else (0,)),
        weight_hh.new_empty((1 + len(plan.spec.carried), R, B, H)),
        weight_hh.new_empty((R, len(plan.spec.carried), T, B, H) if states else (0,)),
        weight_hh.new_empty((R, plan.tiles, plan.saved_size)),
    )


@unroll_backward_op.register_fake
def _(  # type: ignore[no-untyped-def]
    d_outputs,
    d_last,
    d_states,
    saved,
    x,
    state,
    weight_ih,
    weight_hh,
    bias_ih,
    bias_hh,
    lengths,
    resets,
    variant,
    chunk,
    wants,
):
    given = (x, state, weight_ih, weight_hh, bias_ih, bias_hh)
    return [weight_hh.new_empty(t.shape if w else (0,)) for t, w in zip(given, wants, strict=True)]


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.save_for_backward(*inputs[:8], output[3])
    ctx.options = inputs[8:]
    ctx.mark_non_differentiable(output[3])
    ctx.set_materialize_grads(False)


def _backward(
    ctx: Any, d_outputs: Tensor | None, d_last: Tensor | None, d_states: Tensor | None, _: Any
) -> tuple[Tensor | None, ...]:
    *given, saved = ctx.saved_tensors
    variant, outputs, states, _, chunk = ctx.options
    wants = [bool(want) for want in ctx.needs_input_grad[:6]]
    made = call_backward(
        d_outputs if outputs else None, d_last, d_states if states else None, saved, *given,
        variant, chunk, wants,
    )  # fmt: skip
    return (*(grad if want else None for grad, want in zip(made, wants, strict=True)), *([None] * 7))


unroll_op.register_autograd(_backward, setup_context=_setup)


def _setup_twice(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    ctx.save_for_backward(*inputs[:3], *inputs[4:12])
    ctx.variant, ctx.wants = inputs[12], inputs[14]


def _backward_twice(ctx: Any, above: list[Tensor | None]) -> tuple[Any, ...]:
    """Differentiate the gradients: those of the reference loop, which are the same function."""
    tensors, wants = ctx.saved_tensors, ctx.wants
    lengths, resets = tensors[9:]
    floats = [t is not None and t.dtype.is_floating_point for t in tensors[:9]]
    inputs = [t for t, use in zip(tensors[:9], floats, strict=True) if use]

    def gradients(*inputs: Tensor) -> tuple[Tensor, ...]:
        left = iter(inputs)
        whole = [next(left) if use else t for t, use in zip(tensors[:9], floats, strict=True)]
        found = _reference_gradients(ctx.variant, whole[:3], whole[3:], lengths, resets)
        return tuple(g for g, want in zip(found, wants, strict=True) if want and g is not None)

    pull = torch.func.vjp(gradients, *inputs)[1]
    found = iter(pull(tuple(g for g, want in zip(above, wants, strict=True) if want)))
    grads: list[Any] = [next(found) if use else None for use in floats]
    return (*grads[:3], None, *grads[3:], None, None, None, None, None)


def _reference_gradients(
    variant: str, above: list[Tensor | None], given: list[Any], lengths: Tensor | None, resets: Tensor | None
) -> list[Tensor | None]:
    """Return the gradients of x, state, weights and biases, as the reference loop gives them."""
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    biases = sum(b is not None for b in given[4:])
    cell = cell_of(variant, given[2].shape[-1], given[3].shape[-1], biases)
    used = [t is not None and t.dtype.is_floating_point for t in given]
    d_outputs, d_last, d_states = above

    def forward(*inputs: Tensor) -> tuple[Tensor, ...]:
        left = iter(inputs)
        x, state, *weights = [next(left) if use else t for t, use in zip(given, used, strict=True)]
        p = {name: value for name, value in zip(names, weights, strict=True) if value is not None}
        if state is None:
            state = x.new_zeros(
                (len(cell.states), x.shape[0], x.shape[2], cell.hidden_size), dtype=given[3].dtype
            )
        every, last, states, _ = unroll_reference(
            cell, p, x, tuple(state.unbind(0)), lengths=lengths, resets=resets
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


def _fold(tensor: Any, dim: int | None, size: int, axis: int) -> Any:
    """Return a tensor whose mapped dimension lies in its replica axis."""
    if not isinstance(tensor, Tensor):
        return tensor
    if dim is None:
        tensor = tensor.unsqueeze(axis).expand(*tensor.shape[:axis], size, *tensor.shape[axis:])
    else:
        tensor = tensor.movedim(dim, axis)
    return tensor.flatten(axis, axis + 1)


def _unfold(tensor: Tensor, size: int, axis: int) -> tuple[Tensor, int]:
    """Return a result with the mapped dimension apart again, and where it is."""
    if tensor.dim() <= axis:  # nothing was wanted: one empty tensor a member
        return tensor.new_empty(size, 0), 0
    return tensor.unflatten(axis, (size, tensor.shape[axis] // size)), axis


def _vmap(info: Any, in_dims: Any, *args: Any) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
    axes = (0, 1, 0, 0, 0, 0, 0, 0)
    folded = [_fold(t, d, info.batch_size, axis) for t, d, axis in zip(args, in_dims, axes, strict=False)]
    made = call_unroll(*folded, *args[8:])
    parts = [_unfold(t, info.batch_size, axis) for t, axis in zip(made, (0, 1, 0, 0), strict=True)]
    return tuple(part[0] for part in parts), tuple(part[1] for part in parts)


unroll_op.register_vmap(_vmap)


def _vmap_backward(info: Any, in_dims: Any, *args: Any) -> tuple[list[Tensor], list[int]]:
    axes = (0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0)
    folded = [_fold(t, d, info.batch_size, axis) for t, d, axis in zip(args, in_dims, axes, strict=False)]
    made = call_backward(*folded, *args[12:])
    parts = [_unfold(t, info.batch_size, axis) for t, axis in zip(made, (0, 1, 0, 0, 0, 0), strict=True)]
    return [part[0] for part in parts], [part[1] for part in parts]


unroll_backward_op.register_vmap(_vmap_backward)


def _plain(*tensors: Any) -> bool:
    """Whether tensors hold numbers of their own, so that the operator's dispatch has nothing to add."""
    return all(type(t) in (Tensor, Parameter) or t is None for t in tensors)


class _Unroll(torch.autograd.Function):
    """The operator without its dispatch, and for ``torch.func``, which sees no operator's autograd."""

    backward = staticmethod(_backward)
    setup_context = staticmethod(_setup)
    vmap = staticmethod(_vmap)

    @staticmethod
    def forward(*args: Any) -> Any:
        return _unroll(*args) if _plain(*args[:8]) else unroll_op(*args)


class _Backward(torch.autograd.Function):
    """The same for the operator of the gradients."""

    setup_context = staticmethod(lambda ctx, inputs, output: _setup_twice(ctx, inputs, list(output)))
    backward = staticmethod(lambda ctx, *above: _backward_twice(ctx, list(above)))

    @staticmethod
    def forward(*args: Any) -> Any:
        return tuple(_gradients(*args) if _plain(*args[:12]) else unroll_backward_op(*args))

    @staticmethod
    def vmap(info: Any, in_dims: Any, *args: Any) -> Any:
        """Return the results and their dimensions as tuples."""
        return tuple(tuple(part) for part in _vmap_backward(info, in_dims, *args))


class _Direct(torch.autograd.Function):
    """The operator where no transform is around it: torch then looks up nothing but this."""

    backward = staticmethod(_backward)

    @staticmethod
    def forward(ctx: Any, *args: Any) -> Any:
        made = _unroll(*args)
        _setup(ctx, args, made)
        return made


def call_unroll(*args: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Call the kernel in a way that every transform around it understands."""
    if torch.compiler.is_compiling():
        return unroll_op(*args)
    if _are_functorch_transforms_active() or not _plain(*args[:8]):
        return _Unroll.apply(*args)
    return _Direct.apply(*args)


def call_backward(*args: Any) -> Any:
    """Call the kernel's gradients in a way that every transform around them understands."""
    if torch.compiler.is_compiling():
        return unroll_backward_op(*args)
    once = not torch.is_grad_enabled() and not _are_functorch_transforms_active()
    return _gradients(*args) if once and _plain(*args[:12]) else _Backward.apply(*args)
