"""Graphs that are compiled, traced or exported, and tensors without numbers."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.export import export
from torch.func import grad_and_value, jacrev, vmap
from torch.fx.experimental.proxy_tensor import make_fx

from trust.by_autograd import rows_of_jacobian, some
from trust.cases import Case, Side, Values, flattened
from trust.transform import Proof, Results, detached, gradients, transform, value_and_gradients

DERIVED = "inside torch.compile the derivatives of torch.func go through the reference only"
SIZES = "torch.compile wants sizes beforehand"
META = "the tensors are on meta, the kernel runs on the CPU"
EITHER = f"{DERIVED}|{SIZES}"
NO_CLOCKS = "fake tensors have no clocks that say how many units open"
SPECIAL = ("zero", "subclass")
"""Layouts that torch's tracers do not follow, whatever the layer."""
EXPORTED = "an exported program cannot hold the"


def compiled(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """Return a function compiled into one graph by the traced autograd, without a code generator."""
    logging.getLogger("torch").setLevel(logging.CRITICAL)
    torch._dynamo.reset()
    return torch.compile(function, backend="aot_eager", fullgraph=True, **options)


def through(side: Side, call: Callable[[Values], Any], values: Values) -> Results:
    """Return results and gradients of a call that stands for the side's own."""
    results = tuple(call(values))
    return [*detached(results), *gradients(side.loss(results), values, side.live)]


@transform("compile", weight=0.1, without=SPECIAL, refusals={"sparse": SIZES})
def _(case: Case) -> Proof:
    dynamic = [None, False, True][int(case.draw().integers(3))]

    def run(side: Side) -> Results:
        return through(side, compiled(side.call, dynamic=dynamic), side.values())

    return run, value_and_gradients


@transform("compile, several batch sizes", weight=0.06, without=SPECIAL, refusals={"sparse": SIZES})
def _(case: Case) -> Proof:
    g = case.draw()
    sizes = [int(b) for b in g.permutation([1, 2, 3, 5])[:2]]
    others = [case.other(B=b) for b in sizes]

    def run(side: Side) -> Results:
        call = compiled(side.call)
        return [r for c in (case, *others) for r in through(c.mine, call, c.mine.values())]

    def meaning(side: Side) -> Results:
        return [r for c in (case, *others) for r in value_and_gradients(c.true)]

    return run, meaning


@transform("compile of a layer", weight=0.1, without=SPECIAL, layer=True, refusals={"sparse": SIZES})
def _(case: Case) -> Proof | None:
    if case.mine.module is None:
        return None

    def run(side: Side) -> Results:
        module, values = side.loaded(), side.values()
        given, options = side.arguments(values)
        results = flattened(*compiled(module)(*given, **options))
        everything = values | dict(module.named_parameters())
        return [*detached(results), *gradients(side.loss(results), everything, side.live)]

    return run, value_and_gradients


@transform(
    "compile of vmap of grad", weight=0.04, without=SPECIAL, refusals={"cpu": DERIVED, "sparse": EITHER},
)  # fmt: skip
def _(case: Case) -> Proof:
    """Weights of two members, as in an ensemble."""
    names = [n for n in case.live if n in case.params] or case.live[:1]

    def stacks(values: Values) -> Values:
        return {n: torch.stack([values[n], 0.5 * values[n]]).detach() for n in names}

    def run(side: Side) -> Results:
        values = {n: v.detach() for n, v in side.values().items()}

        def members(p: Values, rest: Values) -> Any:
            return vmap(grad_and_value(lambda q: side.loss(side.call({**rest, **q}))))(p)

        grads, value = compiled(members)(stacks(values), values)
        return [value, *(grads[n] for n in names)]

    def meaning(side: Side) -> Results:
        rows = []
        for factor in (1.0, 0.5):
            values = {n: v.detach() for n, v in side.values().items()}
            values |= {n: (factor * values[n]).requires_grad_() for n in names}
            total = side.loss(side.call(values))
            rows.append([total.detach(), *gradients(total, values, names)])
        return [torch.stack(parts) for parts in zip(*rows, strict=True)]

    return run, meaning


@transform(
    "compile of jacrev", weight=0.04, without=SPECIAL, refusals={"cpu": DERIVED, "sparse": EITHER},
)  # fmt: skip
def _(case: Case) -> Proof:
    def run(side: Side) -> Results:
        values = {n: v.detach() for n, v in side.values().items()}
        names, function = some(side, values, case)
        places = tuple(range(len(names)))
        return [*compiled(jacrev(function, argnums=places))(*(values[n] for n in names))]

    return run, lambda side: rows_of_jacobian(side, case)


def moved(values: Values, live: list[str]) -> Values:
    """Return other values of the same shapes: what a graph must not have remembered."""
    return {n: (v.detach() * 0.7 + 0.1) if n in live else v for n, v in values.items()}


def _traced(case: Case, trace: Callable[[Side, Values], Callable[[Values], Any]]) -> Proof:
    """A graph made with some values gives the results of others."""

    def run(side: Side) -> Results:
        with torch.no_grad():
            graph = trace(side, side.values())
            return [*graph(moved(side.values(), side.live))]

    def meaning(side: Side) -> Results:
        with torch.no_grad():
            return [*side.call(moved(side.values(), side.live))]

    return run, meaning


@transform("make_fx", weight=0.3, without=SPECIAL, refusals={"sparse": SIZES})
def _(case: Case) -> Proof:
    mode = ["real", "fake", "symbolic"][int(case.draw().integers(3))]
    return _traced(case, lambda side, values: make_fx(lambda v: side.call(v), tracing_mode=mode)(values))


@transform("make_fx of gradients", weight=0.1, without=SPECIAL, refusals={"sparse": SIZES})
def _(case: Case) -> Proof:
    def differentiated(side: Side, values: Values) -> Results:
        live = {n: values[n].detach().requires_grad_() for n in side.live}
        with torch.enable_grad():
            total = side.loss(side.call({**values, **live}))
            return gradients(total, live, side.live)

    def run(side: Side) -> Results:
        graph = make_fx(lambda values: differentiated(side, values))(side.values())
        return [*graph(moved(side.values(), side.live))]

    return run, lambda side: differentiated(side, moved(side.values(), side.live))


@transform("jit.trace", weight=0.2, without=SPECIAL, refusals={"sparse": SIZES})
def _(case: Case) -> Proof:
    case.only_inputs_move()  # a traced module keeps its parameters

    def trace(side: Side, values: Values) -> Callable[[Values], Any]:
        names, call = list(values), side.call if side.module is None else side.through_loaded

        def function(*tensors: Tensor) -> tuple[Tensor, ...]:
            return call(dict(zip(names, tensors, strict=True)))

        graph = torch.jit.trace(function, tuple(values.values()), check_trace=False)
        return lambda others: graph(*(others[n] for n in names))

    return _traced(case, trace)


class _Program(torch.nn.Module):
    """A side's call as a module, which is what ``export`` takes."""

    def __init__(self, side: Side) -> None:
        super().__init__()
        self.side, self.inner = side, side.module

    def forward(self, values: Values) -> tuple[Tensor, ...]:
        return self.side.call(values)


@transform(
    "export", weight=0.1, without=SPECIAL, refusals={"cpu": EXPORTED, "sparse": f"{EXPORTED}|{SIZES}"},
)  # fmt: skip
def _(case: Case) -> Proof:
    strict = case.draw().random() < 0.3

    def trace(side: Side, values: Values) -> Callable[[Values], Any]:
        return export(_Program(side), (values,), strict=strict).module()

    return _traced(case, trace)


@transform("compiled autograd", weight=0.03, without=SPECIAL, refusals={"sparse": SIZES})
def _(case: Case) -> Proof:
    def run(side: Side) -> Results:
        values = side.values()
        results = side.call(values)
        total = side.loss(results)
        if total.requires_grad:
            torch._dynamo.reset()
            with torch._dynamo.compiled_autograd._enable(torch.compile(backend="aot_eager")):
                total.backward()
        grads = [values[n].grad for n in side.live]
        zeros = [torch.zeros_like(values[n]) for n in side.live]
        return [*detached(results), *(z if g is None else g for g, z in zip(grads, zeros, strict=True))]

    return run, value_and_gradients


@transform(
    "tensors without numbers", weight=0.4, without=SPECIAL,
    refusals={"cpu": META, "sparse": f"{META}|{NO_CLOCKS}"},
)  # fmt: skip
def _(case: Case) -> Proof:
    """Meta and fake tensors go through and have the true shapes."""
    fake = case.draw().random() < 0.5

    def run(side: Side) -> Results:
        if fake:
            with torch._subclasses.FakeTensorMode(allow_non_fake_inputs=True) as mode:
                results = side.call({n: mode.from_tensor(v.contiguous()) for n, v in side.values().items()})
        else:
            results = side.call({n: v.detach().to("meta") for n, v in side.values().items()})
        return [torch.zeros(r.shape, dtype=r.dtype) for r in results]

    def meaning(side: Side) -> Results:
        return [torch.zeros_like(r) for r in detached(side.call(side.values()))]

    return run, meaning
