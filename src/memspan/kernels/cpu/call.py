"""One call of the kernel on torch tensors, without autograd: what an operator is given, and the two walks."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from memspan import simd
from memspan.cells import CELLS
from memspan.cells.cell import Cell, Parameters
from memspan.cells.time_gate.equations import CLOCKS, TimeGate
from memspan.kernels.cpu import engine
from memspan.kernels.cpu.layout import Above, Given
from memspan.kernels.cpu.plan import Plan, auto_chunk
from memspan.kernels.cpu.sparse import engine as sparse_engine
from memspan.kernels.cpu.spec import Spec, round_up, spec_for, under_gate
from memspan.kernels.reference import check_values

GRADIENTS = ("x", "state", "weight_ih", "weight_hh", "bias_ih", "bias_hh", "own", "clocks")
TENSORS = (*GRADIENTS, "times", "lengths", "resets")
SPARSE = "/sparse"
Operands = tuple[Any, ...]  # the tensors of ``TENSORS``


def variant_of(cell: Cell, sparse: bool = False) -> str:
    """Return the name under which an operator finds the cell's equations again, and which kernel is meant."""
    if sparse:
        return variant_of(cell) + SPARSE
    if isinstance(cell, TimeGate):
        return f"{variant_of(cell.cell)}@{cell.leak_text}"
    return f"{cell.name}:{getattr(cell, 'nonlinearity', '')}"


def cell_of(variant: str, D: int, H: int, biases: int) -> Cell:
    """Return the cell of a variant."""
    inner, gated, leak = variant.removesuffix(SPARSE).partition("@")
    name, nonlinearity = inner.split(":")
    extra = {"nonlinearity": nonlinearity} if nonlinearity else {}
    cell: Cell = CELLS.resolve(name)(D, H, biases=biases, **extra)
    return TimeGate(cell, float(leak)) if gated else cell


_OWN: dict[tuple[type[Cell], int], dict[str, int]] = {}


def own_shapes(cell: Cell) -> dict[str, int]:
    """Return name → size of the parameters that are neither weights nor biases nor clocks."""
    inner = cell.cell if isinstance(cell, TimeGate) else cell
    key = type(inner), inner.hidden_size
    found = _OWN.get(key)
    if found is None:
        shapes = inner.parameter_shapes().items()
        own = {name: shape[0] for name, shape in shapes if not name.startswith(("weight_", "bias_"))}
        found = _OWN[key] = own
    return found


def operands(cell: Cell, p: Parameters) -> tuple[Tensor | None, ...]:
    """Return what an operator takes of a cell's parameters: weights, biases, its own in one row, clocks."""
    own = list(own_shapes(cell))
    return (
        p["weight_ih"], p["weight_hh"], p.get("bias_ih"), p.get("bias_hh"),
        torch.cat([p[name] for name in own], -1) if own else None,
        torch.stack([p[name] for name in CLOCKS], -2) if isinstance(cell, TimeGate) else None,
    )  # fmt: skip


def parameters(cell: Cell, given: Sequence[Tensor | None]) -> Parameters:
    """Return the parameters of ``operands`` by name again."""
    *weights, own, clocks = given
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    p = {name: value for name, value in zip(names, weights, strict=True) if value is not None}
    if own is not None:
        p |= dict(zip(own_shapes(cell), own.split(list(own_shapes(cell).values()), -1), strict=True))
    if clocks is not None:
        p |= dict(zip(CLOCKS, clocks.unbind(-2), strict=True))
    return p


_SPECS: dict[tuple[str, bool], Spec] = {}


def _spec(plain: str, gated: bool) -> Spec:
    if (plain, gated) not in _SPECS:
        spec = spec_for(cell_of(plain, 1, 1, 0), simd.LANES)
        _SPECS[plain, gated] = under_gate(spec) if gated else spec
    return _SPECS[plain, gated]


def plan_of(given: Sequence[Any], variant: str, keep: bool = True, chunk: int = -1) -> Plan:
    """Return the sizes of a call with these tensors, those of ``TENSORS``; see ``_make_plan``."""
    x, weight_ih, weight_hh = given[0], given[2], given[3]
    times, lengths, resets = given[8:]
    R, T, B, *size = x.shape
    D, V = (size[0], 0) if size else (0, weight_ih.shape[-1])
    facts = (R, T, B, D, weight_hh.shape[-1], V)
    make = _cached_plan if all(type(size) is int for size in facts) else _make_plan
    time_axes = 1 if times is None else times.dim()
    return make(variant, facts, keep, chunk, resets is not None, lengths is not None, time_axes)


def _make_plan(
    variant: str, facts: tuple[int, int, int, int, int, int], keep: bool, chunk: int,
    resets: bool, ragged: bool, time_axes: int,
) -> Plan:  # fmt: skip
    """Return the plan of a shape; a chunk below 0 is decided by memory."""
    plan = Plan(_spec(variant.partition("@")[0], "@" in variant), *facts, keep, 0, resets, ragged, time_axes)
    if variant.endswith(SPARSE):  # how much there is to keep is known only once the clocks were asked
        return dataclasses.replace(plan, chunked=chunk if keep else 0, least=plan.spec.lanes)
    steps = 0 if not keep else auto_chunk(plan) if chunk < 0 else chunk
    return dataclasses.replace(plan, chunked=round_up(steps, plan.ring)) if steps else plan


_cached_plan = functools.lru_cache(maxsize=512)(_make_plan)


def walk_forward(
    tensors: Operands, variant: str, outputs: bool, states: bool, keep: bool, chunk: int
) -> engine.Forward:
    """Unroll a cell; return outputs, last states, carried states, and what backward needs, or None each."""
    plan = plan_of(tensors, variant, keep, chunk)
    run = sparse_engine.run_forward if variant.endswith(SPARSE) else engine.run_forward
    return run(plan, _given(tensors, variant), outputs, states)


def walk_backward(
    above: Above, saved: Tensor, tensors: Operands, variant: str, chunk: int, wants: Sequence[bool]
) -> list[Tensor | None]:
    """Return the gradients of ``GRADIENTS``; None where one is not wanted."""
    plan, given = plan_of(tensors, variant, True, chunk), _given(tensors, variant)
    want = dict(zip(GRADIENTS, wants, strict=True))
    above = Above(*[None if d is None else d.contiguous() for d in above])
    run = sparse_engine.run_backward if variant.endswith(SPARSE) else engine.run_backward
    grads = run(plan, given, saved, above, want)
    if given.clocks is not None and want["clocks"]:
        grads["clocks"] = _back_to_logarithms(given.clocks, grads["clocks"]).to(tensors[7].dtype)
    return [grads[name] if want[name] else None for name in GRADIENTS]


Back = Callable[[Tensor, bool], tuple[dict[str, Tensor], Tensor | None]]


def record(
    cell: Cell, given: Operands, sparse: bool, every: bool
) -> tuple[Tensor | None, tuple[Tensor, ...], Back]:
    """Return the outputs of every step or None, each last state, and what takes the gradients back.

    The gradient that comes is that of every step's outputs or, without these, of the last h.
    """
    variant = variant_of(cell, sparse)
    made, last, _, saved = walk_forward(given, variant, every, False, True, -1)
    assert saved is not None

    def back(d_outputs: Tensor, x_too: bool) -> tuple[dict[str, Tensor], Tensor | None]:
        d_all, d_last = (d_outputs, None) if every else (None, d_outputs)
        above = Above(d_all, d_last, None, None)
        wants = x_too, False, *(t is not None for t in given[2 : len(GRADIENTS)])
        dx, _, *grads = walk_backward(above, saved, given, variant, -1, wants)
        return dict(parameters(cell, grads)), dx

    return made, last.unbind(0), back


def _given(tensors: Operands, variant: str) -> Given:
    """Return a call's tensors as the kernel reads them."""
    made: list[Any] = [None if t is None else t.contiguous() for t in tensors]
    given = Given(*made)
    if not given.x.dtype.is_floating_point:
        given.x = given.x.to(torch.int64)
    check_values(given.x, given.weight_ih.shape[-1], given.lengths)
    if given.clocks is not None and given.times is not None:
        leak = float(variant.removesuffix(SPARSE).partition("@")[2])
        given.clocks = _clocks(given.clocks.double(), leak)
        given.times = given.times.to(torch.float64)
    return given


def _clocks(clocks: Tensor, leak: float) -> Tensor:
    """Return periods τ, shifts, open ratios, the leak and 1/τ (R, 5, H) of the clocks' parameters.

    In numpy: torch's exp may go to a library that wakes threads of its own, and ours wait for them.
    """
    made = clocks.new_empty(len(clocks), 5, clocks.shape[2])
    given, found = clocks.detach().numpy(), made.numpy()
    np.exp(given[:, 0], out=found[:, 0])
    found[:, 1] = given[:, 1]
    np.exp(-np.logaddexp(0.0, -given[:, 2]), out=found[:, 2])  # the logistic function of any number
    found[:, 3] = leak
    np.divide(1.0, found[:, 0], out=found[:, 4])
    return made


def _back_to_logarithms(clocks: Tensor, grads: Tensor) -> Tensor:
    """Make gradients of the clocks' parameters of those of periods, shifts and open ratios, in place."""
    period, ratio, by = clocks[:, 0].numpy(), clocks[:, 2].numpy(), grads.numpy()
    by[:, 0] *= period
    by[:, 2] *= ratio * (1.0 - ratio)
    return grads
