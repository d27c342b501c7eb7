"""Plain autograd in all the ways research code calls it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.functional import jacobian
from torch.autograd.graph import save_on_cpu, saved_tensors_hooks
from torch.utils.checkpoint import checkpoint

from trust.cases import Case, Side, Values
from trust.transform import Proof, Results, detached, gradients, transform, value_and_gradients


@transform("backward", weight=3)
def _(case: Case) -> Proof:
    return value_and_gradients, value_and_gradients


@transform("no gradient", weight=2)
def _(case: Case) -> Proof:
    inference = case.draw().random() < 0.5

    def run(side: Side) -> Results:
        with torch.inference_mode() if inference else torch.no_grad():
            return [*side.call(side.values())]

    return run, run


@transform("repeated backward", weight=3)
def _(case: Case) -> Proof:
    def run(side: Side) -> Results:
        values = side.values()
        total = side.loss(side.call(values))
        rounds = [gradients(total, values, side.live, retain_graph=True) for _ in range(3)]
        return [grad for grads in rounds for grad in grads]

    def meaning(side: Side) -> Results:
        values = side.values()
        return 3 * gradients(side.loss(side.call(values)), values, side.live)

    return run, meaning


@transform("two losses", weight=2)
def _(case: Case) -> Proof:
    """Each result has a loss of its own; all go back through one graph, in any order."""
    order = [int(k) for k in case.draw().permutation(len(case.mine.weights))]

    def run(side: Side) -> Results:
        values = side.values()
        results = side.call(values)
        parts = {}
        for k in [*order, order[0]]:
            loss = (results[k] * side.weights[k]).sum()
            parts[k] = gradients(loss, values, side.live, retain_graph=True)
        return [grad for k in order for grad in parts[k]]

    def meaning(side: Side) -> Results:
        found: Results = []
        for k in order:
            values = side.values()
            found += gradients((side.call(values)[k] * side.weights[k]).sum(), values, side.live)
        return found

    return run, meaning


@transform("gradients that lie otherwise", weight=2)
def _(case: Case) -> Proof:
    """What comes to backward is expanded, strided, zero or lazily negative."""
    kinds = [int(k) for k in case.draw().integers(0, 5, len(case.mine.weights))]

    def above(weight: Tensor, kind: int) -> Tensor | None:
        if kind == 0:
            return weight.new_ones(()).expand(weight.shape)
        if kind == 1:
            return torch._efficientzerotensor(weight.shape, dtype=weight.dtype)
        if kind == 2:
            return torch.complex(torch.zeros_like(weight), -weight).conj().imag
        if kind == 3:
            return (
                weight.flip(0).repeat(*[1] * (weight.dim() - 1), 2)[..., ::2].contiguous().mT.contiguous().mT
            )
        return weight

    def run(side: Side) -> Results:
        values = side.values()
        results = side.call(values)
        given = [above(w, k) for w, k in zip(side.weights, kinds, strict=True)]
        keep = [k for k, result in enumerate(results) if result.requires_grad]
        if not keep:
            return [torch.zeros_like(values[n]) for n in side.live]
        grads = torch.autograd.grad(
            [results[k] for k in keep], [values[n] for n in side.live], [given[k] for k in keep],
            allow_unused=True,
        )  # fmt: skip
        return [
            torch.zeros_like(values[n]) if g is None else g for n, g in zip(side.live, grads, strict=True)
        ]

    return run, run


def _second(side: Side, values: Values) -> Results:
    """Return the gradients of the squared gradients and of the loss."""
    total = side.loss(side.call(values))
    first = gradients(total, values, side.live, create_graph=True)
    penalty = sum((grad.square().sum() for grad in first), torch.zeros_like(total))
    return [*detached(first), *gradients(penalty + total, values, side.live)]


@transform("double backward", weight=1.5, order=2)
def _(case: Case) -> Proof:
    def run(side: Side) -> Results:
        return _second(side, side.values())

    return run, run


@transform("checkpoint", weight=2)
def _(case: Case) -> Proof:
    reentrant = case.draw().random() < 0.5

    def run(side: Side) -> Results:
        values = side.values()
        names = list(values)

        def inner(*tensors: Tensor) -> tuple[Tensor, ...]:
            return side.call(dict(zip(names, tensors, strict=True)))

        if reentrant and not side.differentiable:  # torch refuses that itself
            return value_and_gradients(side)
        results = checkpoint(inner, *values.values(), use_reentrant=reentrant)
        if reentrant:  # gradients of chosen tensors are not served there
            total = side.loss(results)
            if total.requires_grad:
                total.backward()
            grads = [values[n].grad for n in side.live]
            zeros = [torch.zeros_like(values[n]) for n in side.live]
            return [*detached(results), *(z if g is None else g for g, z in zip(grads, zeros, strict=True))]
        return [*detached(results), *gradients(side.loss(results), values, side.live)]

    return run, value_and_gradients


def lazily(t: Tensor) -> Tensor:
    """Return equal numbers as a view that is negated when it is read."""
    return torch.complex(t * 0, -t).conj().imag


PACKS: dict[str, tuple[Any, Any]] = {
    "other strides": (lambda t: t.transpose(0, -1).contiguous() if t.dim() else t,
                      lambda t: t.transpose(0, -1) if t.dim() else t),
    "clone": (torch.clone, lambda t: t),
    "numpy": (lambda t: t.detach().resolve_neg().numpy(force=True).copy(), torch.from_numpy),
    "float64": (lambda t: (t.double(), t.dtype), lambda pair: pair[0].to(pair[1])),
    "negative": (lambda t: t, lambda t: lazily(t) if t.dtype == torch.float32 else t),
    "strided": (lambda t: t, lambda t: torch.stack([t, t], -1)[..., 1]),
}  # fmt: skip


@transform("saved-tensor hooks", weight=2)
def _(case: Case) -> Proof:
    kind = str(case.draw().choice([*PACKS, "cpu offload"]))

    def run(side: Side) -> Results:
        values = side.values()
        with save_on_cpu() if kind == "cpu offload" else saved_tensors_hooks(*PACKS[kind]):
            results = side.call(values)
            total = side.loss(results)
        return [*detached(results), *gradients(total, values, side.live)]

    return run, value_and_gradients


@transform("tensor hooks", weight=1)
def _(case: Case) -> Proof:
    """Hooks on results change what goes back."""

    def run(side: Side) -> Results:
        values = side.values()
        results = tuple(r * 1.0 for r in side.call(values))
        for result in results:
            if result.requires_grad:
                result.register_hook(lambda d: d.clone().mul_(2.0))
        return gradients(side.loss(results), values, side.live)

    def meaning(side: Side) -> Results:
        values = side.values()
        return [2.0 * g for g in gradients(side.loss(side.call(values)), values, side.live)]

    return run, meaning


def some(side: Side, values: Values, case: Case) -> tuple[list[str], Any]:
    """Return names of live tensors and a function from them to a few numbers, to take Jacobians of."""
    names = side.live
    g = case.draw("functionals")
    drawn = [torch.from_numpy(g.standard_normal((3, *w.shape))).to(side.dtype) for w in side.weights]

    def function(*tensors: Tensor) -> Tensor:
        results = side.call({**values, **dict(zip(names, tensors, strict=True))})
        return sum(
            ((r * w).sum(tuple(range(1, w.dim()))) for r, w in zip(results, drawn, strict=True)),
            results[0].new_zeros(3),
        )

    return names, function


def rows_of_jacobian(side: Side, case: Case) -> Results:
    """Return the Jacobian of ``some`` numbers by every live tensor, one backward pass a row."""
    values = side.values()
    names, function = some(side, values, case)
    numbers = function(*(values[n] for n in names))
    rows = [gradients(number, values, names, retain_graph=True) for number in numbers]
    return [torch.stack(parts) for parts in zip(*rows, strict=True)]


@transform("jacobian", weight=1)
def _(case: Case) -> Proof:
    vectorize = case.draw().random() < 0.7

    def run(side: Side) -> Results:
        values = side.values()
        names, function = some(side, values, case)
        return [*jacobian(function, tuple(values[n].detach() for n in names), vectorize=vectorize)]

    return run, lambda side: rows_of_jacobian(side, case)


@transform("is_grads_batched", weight=1)
def _(case: Case) -> Proof:
    g = case.draw()
    which = int(g.integers(len(case.mine.weights)))
    above = torch.from_numpy(g.standard_normal((3, *case.mine.weights[which].shape)))

    def run(side: Side) -> Results:
        values = side.values()
        result = side.call(values)[which]
        if not result.requires_grad:
            return [v.new_zeros(3, *v.shape) for v in (values[n] for n in side.live)]
        given = [values[n] for n in side.live]
        grads = torch.autograd.grad(
            result, given, above.to(side.dtype), is_grads_batched=True, allow_unused=True
        )
        return [v.new_zeros(3, *v.shape) if d is None else d for d, v in zip(grads, given, strict=True)]

    def meaning(side: Side) -> Results:
        values = side.values()
        result = side.call(values)[which]
        rows = [
            gradients((result * row.to(side.dtype)).sum(), values, side.live, retain_graph=True)
            for row in above
        ]
        return [torch.stack(parts) for parts in zip(*rows, strict=True)]

    return run, meaning
