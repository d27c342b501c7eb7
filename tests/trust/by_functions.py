"""The transforms of torch.func, with autograd inside and outside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.func import functionalize, grad, grad_and_value, hessian, jacfwd, jacrev, jvp, vjp, vmap

from trust.by_autograd import rows_of_jacobian, some
from trust.cases import MARKS, Case, Side, Values, leaf
from trust.layouts import arranged
from trust.transform import Proof, Results, detached, gradients, transform

FORWARD = "forward-mode derivatives go through the reference only"
ALTERED = "torch.func.functionalize goes through the reference only"
MEMBERS = 3


class Mapped:
    """A case with some tensors stacked along a mapped dimension, each where it likes.

    Args:
        chosen: says of a tensor's name whether it is mapped.
        spread: how far the members lie apart.
    """

    def __init__(self, case: Case, chosen: Callable[[str], bool], g: np.random.Generator) -> None:
        self.case, self.dims = case, {}
        self.stacks: Values = {}
        self.count = int(g.integers(1, MEMBERS + 1))
        for name, value in case.mine.raw.items():
            if not chosen(name):
                continue
            dim = int(g.integers(-value.dim() - 1, value.dim() + 1)) if g.random() < 0.5 else 0
            plain = value.as_subclass(Tensor).resolve_neg().detach() + 0
            stack = torch.stack([self._member(plain, name, g) for _ in range(self.count)], dim)
            layout = case.e.layouts[int(g.integers(len(case.e.layouts)))]
            layout = "contiguous" if layout in ("zero", "parameter") else layout
            self.dims[name], self.stacks[name] = dim, arranged(stack.numpy(), layout, g)
        self.live = [name for name in case.live if name in self.stacks]

    def _member(self, value: Tensor, name: str, g: np.random.Generator) -> Tensor:
        e = self.case.e
        if name == "lengths":
            return torch.from_numpy(g.integers(0, e.T + 1, value.shape)).to(value.dtype)
        if name == "resets":
            return torch.from_numpy(g.random(value.shape) < 0.3)
        if name == "times":
            return value + 7.0 * g.random()
        if not value.is_floating_point():
            return torch.from_numpy(g.integers(0, e.D, value.shape)).to(value.dtype)
        return value + torch.from_numpy(0.3 * g.standard_normal(value.shape)).to(value.dtype)

    def stacked(self, side: Side) -> Values:
        """Return the stacks as fresh leaves of a side."""
        return {n: leaf(side.cast(v, n), n in side.live) for n, v in self.stacks.items()}

    def dimensions(self) -> tuple[dict[str, int]]:
        """Return ``in_dims`` of a function of the stacks."""
        return (self.dims,)

    def members(self, stacks: Values) -> list[Values]:
        """Return each member's tensors."""
        return [{n: v.select(self.dims[n], m) for n, v in stacks.items()} for m in range(self.count)]


def _groups(kind: str, case: Case) -> Callable[[str], bool]:
    inputs = {name for name in case.mine.raw if name == "x" or name.startswith("hx_")}
    if kind == "inputs":
        return lambda name: name in inputs
    if kind == "weights":
        return lambda name: name in case.params
    if kind == "inputs and weights":
        return lambda name: name in case.params or name in inputs
    return lambda name: name in MARKS and (kind == "marks" or name == "times")


def _is_gated(cell: str) -> bool:
    return " " in cell


def _outside(m: Mapped) -> Proof:
    """``vmap`` of a call, autograd around it."""

    def run(side: Side) -> Results:
        values, stacks = side.values(), m.stacked(side)
        results = vmap(lambda q: side.call({**values, **q}), in_dims=m.dimensions())(stacks)
        each = [tuple(part[k] for part in results) for k in range(m.count)]
        return [*detached(results), *_ordered(side, values, stacks, each)]

    def meaning(side: Side) -> Results:
        values, stacks = side.values(), m.stacked(side)
        each = [side.call({**values, **q}) for q in m.members(stacks)]
        stacked = [torch.stack(parts) for parts in zip(*each, strict=True)]
        return [*detached(stacked), *_ordered(side, values, stacks, each)]

    return run, meaning


def _ordered(side: Side, values: Values, stacks: Values, each: list[tuple[Tensor, ...]]) -> Results:
    """Return the gradients of the members' losses by every live tensor, stacked or shared."""
    total = sum((side.loss(result) for result in each), torch.zeros((), dtype=side.dtype))
    return gradients(total, values | stacks, side.live)


@transform("vmap over inputs, autograd outside", weight=2)
def _(case: Case) -> Proof:
    return _outside(Mapped(case, _groups("inputs", case), case.draw()))


@transform("vmap over weights, autograd outside", weight=2)
def _(case: Case) -> Proof:
    return _outside(Mapped(case, _groups("weights", case), case.draw()))


@transform("vmap over inputs and weights, autograd outside", weight=2)
def _(case: Case) -> Proof:
    return _outside(Mapped(case, _groups("inputs and weights", case), case.draw()))


@transform("vmap over any tensors, autograd outside", weight=3)
def _(case: Case) -> Proof:
    g = case.draw()
    names = [name for name in case.mine.raw if g.random() < 0.4] or ["x"]
    return _outside(Mapped(case, lambda name: name in names, g))


@transform("vmap over times", weight=1, fits=_is_gated)
def _(case: Case) -> Proof | None:
    if "times" not in case.mine.raw:
        case = case.other(times="shared")
    return _outside(Mapped(case, _groups("times", case), case.draw()))


def _pulled(m: Mapped, transformed: Callable[[Any, Side], Any]) -> Proof:
    """A gradient inside ``vmap``: by the mapped tensors and by the shared ones."""

    def loss_of(side: Side) -> Any:
        def loss(live: Values, fixed: Values) -> Tensor:
            return side.loss(side.call({**live, **fixed}))

        return loss

    def run(side: Side) -> Results:
        everything = {n: v.detach() for n, v in (side.values() | m.stacked(side)).items()}
        live = {n: v for n, v in everything.items() if n in side.live}
        fixed = {n: v for n, v in everything.items() if n not in side.live}
        dims = tuple({n: m.dims.get(n) for n in part} for part in (live, fixed))
        grads, value = vmap(transformed(loss_of(side), side), in_dims=dims)(live, fixed)
        return [value, *(grads[n] for n in side.live)]

    def meaning(side: Side) -> Results:
        rows = []
        for member in m.members(m.stacked(side)):
            values = side.values() | {n: leaf(v, n in side.live) for n, v in member.items()}
            total = side.loss(side.call(values))
            rows.append([total.detach(), *gradients(total, values, side.live)])
        return [torch.stack(parts) for parts in zip(*rows, strict=True)]

    return run, meaning


@transform("vmap of grad", weight=2)
def _(case: Case) -> Proof:
    g = case.draw()
    kind = str(g.choice(["inputs", "weights", "inputs and weights"]))
    return _pulled(Mapped(case, _groups(kind, case), g), lambda loss, side: grad_and_value(loss))


@transform("vmap of vjp", weight=2)
def _(case: Case) -> Proof:
    g = case.draw()
    kind = str(g.choice(["inputs", "weights", "inputs and weights"]))

    def transformed(loss: Any, side: Side) -> Any:
        def pulled(live: Values, fixed: Values) -> Any:
            value, pull = vjp(lambda q: loss(q, fixed), live)
            return pull(torch.ones_like(value))[0], value

        return pulled

    return _pulled(Mapped(case, _groups(kind, case), g), transformed)


@transform("grad of vmap", weight=2)
def _(case: Case) -> Proof:
    g = case.draw()
    kind = str(g.choice(["inputs", "weights", "inputs and weights"]))
    m = Mapped(case, _groups(kind, case), g)
    backwards = g.random() < 0.5

    def run(side: Side) -> Results:
        everything = {n: v.detach() for n, v in (side.values() | m.stacked(side)).items()}
        fixed = {n: v for n, v in everything.items() if n not in side.live}

        def total(live: Values) -> Tensor:
            both = {**live, **fixed}
            dims = ({n: m.dims.get(n) for n in both},)
            return vmap(lambda q: side.loss(side.call(q)), in_dims=dims)(both).sum()

        live = {n: everything[n] for n in side.live}
        if backwards:
            value, pull = vjp(total, live)
            grads = pull(torch.ones_like(value))[0]
        else:
            grads = grad(total)(live)
        return [grads[n] for n in side.live]

    def meaning(side: Side) -> Results:
        values, stacks = side.values(), m.stacked(side)
        return _ordered(side, values, stacks, [side.call({**values, **q}) for q in m.members(stacks)])

    return run, meaning


@transform("vmap of vmap", weight=1)
def _(case: Case) -> Proof:
    """Weights inside, inputs outside: every member with every other, autograd around both."""
    g = case.draw()
    outer, inner = (Mapped(case, _groups(kind, case), g) for kind in ("inputs", "weights"))

    def both(side: Side) -> tuple[Values, Values, Values]:
        return side.values(), outer.stacked(side), inner.stacked(side)

    def run(side: Side) -> Results:
        values, by_outer, by_inner = both(side)

        def one(p: Values) -> Any:
            return vmap(lambda q: side.call({**values, **p, **q}), in_dims=inner.dimensions())(by_inner)

        results = vmap(one, in_dims=outer.dimensions())(by_outer)
        each = [tuple(part[k, j] for part in results) for k in range(outer.count) for j in range(inner.count)]
        return [*detached(results), *_ordered(side, values, by_outer | by_inner, each)]

    def meaning(side: Side) -> Results:
        values, by_outer, by_inner = both(side)
        each = [
            side.call({**values, **p, **q}) for p in outer.members(by_outer) for q in inner.members(by_inner)
        ]
        shape = outer.count, inner.count
        stacked = [torch.stack(parts).unflatten(0, shape) for parts in zip(*each, strict=True)]
        return [*detached(stacked), *_ordered(side, values, by_outer | by_inner, each)]

    return run, meaning


@transform("vjp, then vmap over what comes back", weight=2)
def _(case: Case) -> Proof:
    def run(side: Side) -> Results:
        values = {n: v.detach() for n, v in side.values().items()}
        names, function = some(side, values, case)
        value, pull = vjp(function, *(values[n] for n in names))
        return [*vmap(pull)(torch.eye(3, dtype=value.dtype))]

    return run, lambda side: rows_of_jacobian(side, case)


@transform("jacrev", weight=2)
def _(case: Case) -> Proof:
    chunk = [None, 1, 2][int(case.draw().integers(3))]

    def run(side: Side) -> Results:
        values = {n: v.detach() for n, v in side.values().items()}
        names, function = some(side, values, case)
        places = tuple(range(len(names)))
        return [*jacrev(function, argnums=places, chunk_size=chunk)(*(values[n] for n in names))]

    return run, lambda side: rows_of_jacobian(side, case)


@transform("jacfwd", weight=1, refusals={"cpu": FORWARD, "sparse": FORWARD})
def _(case: Case) -> Proof:
    return _along(case, jacfwd, 1)


@transform("jvp", weight=1, refusals={"cpu": FORWARD, "sparse": FORWARD})
def _(case: Case) -> Proof:
    def forward(function: Any) -> Any:
        return lambda u: torch.stack([jvp(function, (u,), (e,))[1] for e in torch.eye(3, dtype=u.dtype)])

    return _along(case, forward, 1)


@transform("hessian", weight=0.5, order=2, refusals={"cpu": FORWARD, "sparse": FORWARD})
def _(case: Case) -> Proof:
    return _along(case, hessian, 2)


@transform("jacrev of jacrev", weight=0.7, order=2)
def _(case: Case) -> Proof:
    return _along(case, lambda function: jacrev(jacrev(function)), 2)


def _along(case: Case, derivative: Any, order: int) -> Proof:
    """Derivatives by three numbers that move all live tensors along drawn directions."""
    g = case.draw()
    ways = {n: torch.from_numpy(g.standard_normal((3, *case.mine.raw[n].shape))) / 3 for n in case.live}

    def function_of(side: Side) -> Callable[[Tensor], Tensor]:
        values = {n: v.detach() for n, v in side.values().items()}

        def function(u: Tensor) -> Tensor:
            moved = {n: values[n] + torch.tensordot(u, way.to(side.dtype), 1) for n, way in ways.items()}
            return side.loss(side.call({**values, **moved}))

        return function

    def run(side: Side) -> Results:
        return [derivative(function_of(side))(torch.zeros(3, dtype=side.dtype))]

    def meaning(side: Side) -> Results:
        u = torch.zeros(3, dtype=side.dtype, requires_grad=True)
        total = function_of(side)(u)
        if not total.requires_grad:
            return [torch.zeros(order * (3,), dtype=side.dtype)]
        (first,) = torch.autograd.grad(total, u, create_graph=order == 2)
        if order == 1 or not first.requires_grad:
            return [first if order == 1 else torch.zeros(3, 3, dtype=side.dtype)]
        rows = [torch.autograd.grad(part, u, retain_graph=True, allow_unused=True)[0] for part in first]
        return [torch.stack([torch.zeros_like(u) if row is None else row for row in rows])]

    return run, meaning


@transform("functionalize", weight=0.5, refusals={"cpu": ALTERED, "sparse": ALTERED})
def _(case: Case) -> Proof:
    def run(side: Side) -> Results:
        values = {n: v.detach() for n, v in side.values().items()}
        return [*functionalize(lambda: side.call(values))()]

    def meaning(side: Side) -> Results:
        return detached(side.call(side.values()))

    return run, meaning
