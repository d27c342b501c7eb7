"""The registry of transforms: what is run under test, and what the same means in plain loops."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor

from trust.cases import Case, Side, Values

DEAR = 0.2
"""Largest weight of a transform that costs a second or more."""
Results = list[Tensor]
Run = Callable[[Side], Results]
Proof = tuple[Run, Run]
"""What runs on the side under test, and what the same means, which runs on the reference in float64."""


@dataclasses.dataclass(frozen=True)
class Transform:
    """A transform: how to prove it on a case, which cells it fits and how much it costs."""

    name: str
    prove: Callable[[Case], Proof | None]
    weight: float  # how often it is drawn
    order: int  # of the derivatives: errors grow with it
    refusals: dict[str, str]  # kernel → a part of the sentence with which it may refuse
    fits: Callable[[str], bool]  # cells by name
    without: tuple[str, ...]  # layouts that torch itself does not serve there
    layer: bool  # whether it needs a layer

    @property
    def dear(self) -> bool:
        """Whether it compiles, traces or starts processes, and costs a second or more."""
        return self.weight <= DEAR


TRANSFORMS: dict[str, Transform] = {}


def transform(
    name: str,
    *,
    weight: float = 1.0,
    order: int = 1,
    refusals: dict[str, str] | None = None,
    fits: Callable[[str], bool] = lambda cell: True,
    without: tuple[str, ...] = (),
    layer: bool = False,
) -> Callable[[Callable[[Case], Proof | None]], Callable[[Case], Proof | None]]:
    """Register a function that returns the proof for a case, None where the case has nothing to try."""

    def register(prove: Callable[[Case], Proof | None]) -> Callable[[Case], Proof | None]:
        TRANSFORMS[name] = Transform(name, prove, weight, order, refusals or {}, fits, without, layer)
        return prove

    return register


def gradients(total: Tensor, values: Values, names: list[str], **options: object) -> Results:
    """Return the gradients of a number by name, zero where there is none."""
    if not total.requires_grad:
        return [torch.zeros_like(values[name]) for name in names]
    grads = torch.autograd.grad(total, [values[name] for name in names], allow_unused=True, **options)  # type: ignore[arg-type]
    return [torch.zeros_like(values[n]) if g is None else g for n, g in zip(names, grads, strict=True)]


def value_and_gradients(side: Side) -> Results:
    """Return what a call returns and the gradients of its loss: the plain use."""
    values = side.values()
    results = side.call(values)
    return [*detached(results), *gradients(side.loss(results), values, side.live)]


def plain_layer(side: Side) -> Results:
    """Return the same of the layer's own parameters, where there is a layer: no stateless call."""
    if side.module is None:
        return value_and_gradients(side)
    values = side.values()
    results = side.through_loaded(values)
    everything = values | dict(side.module.named_parameters())
    return [*detached(results), *gradients(side.loss(results), everything, side.live)]


def detached(results: tuple[Tensor, ...] | Results) -> Results:
    """Return tensors without their history."""
    return [result.detach() for result in results]
