"""The CPU kernel as torch custom operators: autograd, shapes without data, vmap onto the replica axis."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from memspan import simd
from memspan.cells import CELLS
from memspan.cells.cell import Cell
from memspan.kernels.cpu import engine
from memspan.kernels.cpu.spec import Spec, spec_for
from memspan.kernels.reference import unroll_reference

GRADIENTS = ("x", "state", "weight_ih", "weight_hh", "bias_ih", "bias_hh")


def variant_of(cell: Cell) -> str:
    """Return the name under which an operator finds the cell's equations again."""
    return f"{cell.name}:{getattr(cell, 'nonlinearity', '')}"


def cell_of(variant: str, D: int, H: int, biases: int) -> Cell:
    """Return the cell of a variant."""
    name, nonlinearity = variant.split(":")
    extra = {"nonlinearity": nonlinearity} if nonlinearity else {}
    return CELLS.resolve(name)(D, H, biases=biases, **extra)  # type: ignore[no-any-return]


_SPECS: dict[str, Spec] = {}


def _spec(variant: str) -> Spec:
    if variant not in _SPECS:
        _SPECS[variant] = spec_for(cell_of(variant, 1, 1, 0), simd.LANES)
    return _SPECS[variant]


def _plan(
    x: Tensor, weight_ih: Tensor, weight_hh: Tensor, lengths: Tensor | None, resets: Tensor | None,
    variant: str, keep: bool, chunk: int,
) -> engine.Plan:  # fmt: skip
    R, T, B = x.shape[:3]
    symbols = not x.dtype.is_floating_point
    D, V = (0, weight_ih.shape[-1]) if symbols else (x.shape[3], 0)
    H = weight_hh.shape[-1]
    made = engine.Plan(
        _spec(variant), R, T, B, D, H, V, keep, 0, resets is not None, lengths is not None
    )
    if keep:
        steps = engine.auto_chunk(made) if chunk < 0 else chunk
        if steps:
            made = engine.dataclasses.replace(made, chunked=engine.round_up(steps, made.ring))
    return made


@torch.library.custom_op("memspan::unroll", mutates_args=(), device_types="cpu")
def unroll_op(
    x: Tensor, state: Tensor, weight_ih: Tensor, weight_hh: Tensor, bias_ih: Tensor | None,
    bias_hh: Tensor | None, lengths: Tensor | None, resets: Tensor | None,
    variant: str, outputs: bool, states: bool, keep: bool, chunk: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """Unroll a cell; return outputs, last states, carried states, and what backward needs."""
    plan = _plan(x, weight_ih, weight_hh, lengths, resets, variant, keep, chunk)
    given = _given(x, state, weight_ih, weight_hh, bias_ih, bias_hh, lengths, resets)
    return engine.run_forward(plan, given, outputs, states)  # type: ignore[return-value]


@torch.library.custom_op("memspan::unroll_backward", mutates_args=(), device_types="cpu")
def unroll_backward_op(
    d_outputs: Tensor | None, d_last: Tensor, d_states: Tensor | None, saved: Tensor,
    x: Tensor, state: Tensor, weight_ih: Tensor, weight_hh: Tensor, bias_ih: Tensor | None,
    bias_hh: Tensor | None, lengths: Tensor | None, resets: Tensor | None,
    variant: str, chunk: int, wants: list[bool],
) -> list[Tensor]:  # fmt: skip
    """Return the gradients of ``GRADIENTS``; an empty tensor where one is not wanted."""
    plan = _plan(x, weight_ih, weight_hh, lengths, resets, variant, True, chunk)
    given = _given(x, state, weight_ih, weight_hh, bias_ih, bias_hh, lengths, resets)
    want = dict(zip(GRADIENTS, wants, strict=True))
    from_above = [None if d is None else d.contiguous() for d in (d_outputs, d_last, d_states)]
    grads = engine.run_backward(plan, given, saved, from_above, want)
    return [grads[name] if want[name] else x.new_empty(0) for name in GRADIENTS]


def _given(x: Tensor, *rest: Tensor | None) -> engine.Given:
    if not x.dtype.is_floating_point:
        x = x.to(torch.int64)
    return engine.Given(x.contiguous(), *(None if t is None else t.contiguous() for t in rest))  # type: ignore[arg-type]


@unroll_op.register_fake
def _(x, state, weight_ih, weight_hh, bias_ih, bias_hh, lengths, resets, variant, outputs, states, keep, chunk):  # type: ignore[no-untyped-def]
    plan = _plan(x, weight_ih, weight_hh, lengths, resets, variant, keep, chunk)
    R, T, B, H = plan.R, plan.T, plan.B, plan.H
    return (
        weight_hh.new_empty((R, T, B, H) if outputs else (0,)),
        weight_hh.new_empty(state.shape),
        weight_hh.new_empty((R, len(plan.spec.carried), T, B, H) if states else (0,)),
        weight_hh.new_empty((R, plan.tiles, plan.saved_size)),
    )


@unroll_backward_op.register_fake
def _(d_outputs, d_last, d_states, saved, x, state, weight_ih, weight_hh, bias_ih, bias_hh, lengths, resets, variant, chunk, wants):  # type: ignore[no-untyped-def]
    given = (x, state, weight_ih, weight_hh, bias_ih, bias_hh)
    return [
        weight_hh.new_empty(t.shape if w else (0,)) for t, w in zip(given, wants, strict=True)
    ]


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.save_for_backward(*inputs[:8], output[3])
    ctx.options = inputs[8:]
    ctx.mark_non_differentiable(output[3])
    ctx.set_materialize_grads(False)


def _backward(ctx: Any, d_outputs: Tensor | None, d_last: Tensor | None, d_states: Tensor | None, _: Any) -> Any:
    *given, saved = ctx.saved_tensors
    variant, outputs, states, _, chunk = ctx.options
    wants = [bool(w) for w in ctx.needs_input_grad[:6]]
    d_outputs, d_states = d_outputs if outputs else None, d_states if states else None
    if torch.is_grad_enabled():
        grads = _through_reference(variant, given, wants, d_outputs, d_last, d_states)
    else:
        if d_last is None:
            d_last = torch.zeros_like(given[1])
        made = unroll_backward_op(d_outputs, d_last, d_states, saved, *given, variant, chunk, wants)
        grads = [grad if want else None for grad, want in zip(made, wants, strict=True)]
    return (*grads, *([None] * 7))


def _through_reference(
    variant: str, given: list[Any], wants: list[bool],
    d_outputs: Tensor | None, d_last: Tensor | None, d_states: Tensor | None,
) -> list[Tensor | None]:  # fmt: skip
    """Return gradients that can be differentiated again: those of the reference loop."""
    x, state, weight_ih, weight_hh, bias_ih, bias_hh, lengths, resets = given
    biases = sum(b is not None for b in (bias_ih, bias_hh))
    cell = cell_of(variant, weight_ih.shape[-1], weight_hh.shape[-1], biases)
    named = {"weight_ih": weight_ih, "weight_hh": weight_hh, "bias_ih": bias_ih, "bias_hh": bias_hh}
    p = {name: value for name, value in named.items() if value is not None}
    every, last, states, _ = unroll_reference(
        cell, p, x, tuple(state.unbind(0)), lengths=lengths, resets=resets
    )
    pairs: list[tuple[Tensor, Tensor]] = []
    if d_outputs is not None:
        pairs.append((every, d_outputs))
    if d_last is not None:
        pairs += zip(last, d_last.unbind(0), strict=True)
    if d_states is not None:
        pairs += zip([states[name] for name in cell.states[1:]], d_states.unbind(1), strict=True)
    pairs = [(value, gradient) for value, gradient in pairs if value.requires_grad]
    wanted = [tensor for tensor, want in zip(given, wants, strict=False) if want]
    found = iter(
        torch.autograd.grad(
            [v for v, _ in pairs], wanted, [g for _, g in pairs], create_graph=True, allow_unused=True
        )
    )
    return [next(found) if want else None for want in wants]


unroll_op.register_autograd(_backward, setup_context=_setup)
