"""An example's tensors and its function, once as it is under test and once as the reference in float64."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch
from minimal_gated import MinimalGatedUnit
from torch import Tensor
from torch.func import functional_call

import memspan
from memspan.cells import CELLS
from memspan.cells.cell import Cell
from memspan.cells.time_gate.equations import TimeGate
from memspan.cells.time_gate.initial import LogUniform
from memspan.kernels import unroll
from trust.examples import OWN, Example, draws
from trust.layouts import arranged

Values = dict[str, Tensor]
MARKS = ("times", "lengths", "resets")


def cell_of(name: str, D: int, H: int, biases: int) -> Cell:
    """Return the cell that an example's name stands for."""
    if name == OWN:
        return MinimalGatedUnit(D, H, biases=biases)
    gate, _, inner = name.rpartition(" ")
    inner, _, relu = inner.partition("-")
    extra = {"nonlinearity": "relu"} if relu else {}
    cell = CELLS.resolve(inner)(D, H, biases=biases, **extra)
    if not gate:
        return cell
    return TimeGate(cell, 0.01 if gate == "gated" else 0.0, LogUniform(1.5, 9.0, 0.4))


class Side:
    """The function of an example in one dtype with one kernel, and the tensors it is called with.

    ``call(values)`` returns float tensors; ``values`` holds everything that changes, also marks and symbols.
    """

    def __init__(self, e: Example, values: Values, live: list[str], dtype: torch.dtype, kernel: str) -> None:
        self.e, self.dtype, self.kernel, self.live = e, dtype, kernel, live
        self.cell = cell_of(e.cell, e.D, e.H, e.biases)
        self.module = self._module() if e.face == "layer" else None
        self.raw = {name: self.cast(value, name) for name, value in values.items()}
        self.weights: list[Tensor] = []
        self.differentiable = True

    def _module(self) -> memspan.Recurrent:
        e = self.e
        module = memspan.Recurrent(
            self.cell, e.layers, batch_first=e.batch_first, bidirectional=e.bidirectional, dtype=self.dtype,
            replicas=e.R if e.replicas else None, kernel=self.kernel, trainable_state=e.trainable,
        )  # fmt: skip
        return module.train(e.training)

    def cast(self, value: Tensor, name: str) -> Tensor:
        """Return a value as this side takes it; the reference takes plain tensors in float64."""
        if self.dtype is torch.float32 or name in MARKS or not value.is_floating_point():
            return value
        return value.as_subclass(Tensor).to(self.dtype).clone(memory_format=torch.contiguous_format)

    def values(self) -> Values:
        """Return fresh leaves; those in ``live`` want a gradient."""
        return {name: leaf(v, name in self.live) for name, v in self.raw.items()}

    def call(self, values: Values) -> tuple[Tensor, ...]:
        """Return outputs, last states and, where wanted, the states of every step."""
        return self._through_layer(values) if self.module is not None else self._through_unroll(values)

    def _through_unroll(self, values: Values) -> tuple[Tensor, ...]:
        e, cell = self.e, self.cell
        p = {name: values[name] for name in cell.parameter_shapes()}
        state = tuple(values[f"hx_{name}"] for name in cell.states) if e.hx else None
        result = unroll(
            cell, p, values["x"], state, times=values.get("times"), lengths=values.get("lengths"),
            resets=values.get("resets"), outputs="all" if e.every else "last", kernel=self.kernel,
            return_states=e.states, chunk=e.chunk if self.kernel != "reference" else None,
        )  # fmt: skip
        return (result.outputs, *result.state, *(result.states.values() if result.states else ()))

    def _through_layer(self, values: Values) -> tuple[Tensor, ...]:
        assert self.module is not None
        names = [name for name, _ in self.module.named_parameters()]
        given, options = self.arguments(values)
        output, state, *rest = functional_call(self.module, {n: values[n] for n in names}, given, options)
        return flattened(output, state, *rest)

    def arguments(self, values: Values) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments of the layer's call."""
        hx: Any = None
        if self.e.hx:
            hx = tuple(values[f"hx_{name}"] for name in self.cell.states)
            hx = hx if len(hx) > 1 else hx[0]
        options: dict[str, Any] = {name: values[name] for name in MARKS if name in values}
        return (values["x"], hx), options | {"return_states": self.e.states}

    def through_loaded(self, values: Values) -> tuple[Tensor, ...]:
        """Return what ``call`` does, with the layer's own parameters; see ``loaded``."""
        assert self.module is not None
        given, options = self.arguments(values)
        return flattened(*self.module(*given, **options))

    def loaded(self) -> memspan.Recurrent:
        """Return the layer with the example's values in its own parameters."""
        assert self.module is not None
        with torch.no_grad():
            for name, parameter in self.module.named_parameters():
                parameter.copy_(self.raw[name])
                parameter.requires_grad_(name in self.live)
        return self.module

    def loss(self, results: tuple[Tensor, ...]) -> Tensor:
        """Return a smooth function of everything returned, with other weights for every number."""
        total = results[0].new_zeros(())
        for value, weight in zip(results, self.weights, strict=True):
            total = total + (value * weight + 0.3 * value * value).sum()
        return total


def flattened(output: Tensor, state: Any, *rest: dict[str, Tensor]) -> tuple[Tensor, ...]:
    """Return what a layer returns as one tuple of tensors."""
    parts = state if isinstance(state, tuple) else (state,)
    return (output, *parts, *(value for group in rest for value in group.values()))


def leaf(value: Tensor, live: bool) -> Tensor:
    """Return a leaf on the same memory, which wants a gradient or not."""
    value = value.detach() if not isinstance(value, torch.nn.Parameter) else value
    return value.requires_grad_(live) if value.is_floating_point() else value


@dataclasses.dataclass
class Case:
    """An example with its values: ``mine`` is under test, ``true`` is the reference in float64."""

    e: Example

    def __post_init__(self) -> None:
        e, g = self.e, draws(self.e.number, "live")
        values = {}
        for name, value in _values(e).items():
            layout = e.layouts[int(g.integers(len(e.layouts)))]
            if name.startswith("weight") and layout == "zero":
                layout = "contiguous"  # weights of zero hide what lies behind them
            values[name] = arranged(value, layout, g)
        floats = [n for n, v in values.items() if v.is_floating_point() and n not in MARKS]
        live = [name for name in floats if g.random() >= e.frozen] or floats[-1:]
        self.live, self.params = live, [n for n in floats if n != "x" and not n.startswith("hx_")]
        self.mine = Side(e, values, live, torch.float32, e.kernel)
        self.true = Side(e, values, live, torch.float64, "reference")
        results = self.true.call(self.true.values())
        shapes = [result.shape for result in results]
        self.mine.differentiable = self.true.differentiable = any(r.requires_grad for r in results)
        drawn = [torch.from_numpy(np.asarray(g.standard_normal(tuple(s)), np.float32)) for s in shapes]
        self.mine.weights, self.true.weights = drawn, [weight.double() for weight in drawn]

    def only_inputs_move(self) -> None:
        """Let a layer keep its parameters: only inputs and states count as live then."""
        if self.mine.module is None:
            return
        self.live = [name for name in self.live if name not in self.params]
        for side in (self.mine, self.true):
            side.live = self.live
            side.loaded()

    def draw(self, purpose: str = "transform") -> np.random.Generator:
        """Return the random numbers that belong to the example's transform."""
        return draws(self.e.number, purpose)

    def other(self, **changes: Any) -> Case:
        """Return the case of the same example with other sizes; tensors of equal shape have equal values."""
        return Case(dataclasses.replace(self.e, **changes))


def _shapes(e: Example, cell: Cell) -> dict[str, tuple[int, ...]]:
    """Return name → shape of every float tensor of a call."""
    if e.face == "unroll":
        shapes: dict[str, tuple[int, ...]] = {} if e.symbols else {"x": (e.R, e.T, e.B, e.D)}
        shapes |= {name: (e.R, *shape) for name, shape in cell.parameter_shapes().items()}
        return shapes | ({f"hx_{n}": (e.R, e.B, e.H) for n in cell.states} if e.hx else {})
    lead = (e.R,) if e.replicas else ()
    steps = ((e.B, e.T) if e.batch_first else (e.T, e.B)) if e.batched else (e.T,)
    module = memspan.Recurrent(
        cell, e.layers, bidirectional=e.bidirectional, replicas=e.R if e.replicas else None,
        trainable_state=e.trainable,
    )  # fmt: skip
    shapes = {"x": (*lead, *steps, e.D)} | {n: tuple(p.shape) for n, p in module.named_parameters()}
    count = e.layers * (2 if e.bidirectional else 1)
    state = (*lead, count, *((e.B,) if e.batched else ()), e.H)
    return shapes | ({f"hx_{n}": state for n in cell.states} if e.hx else {})


def _values(e: Example) -> dict[str, np.ndarray]:
    """Return name → values of every tensor of a call; each name has a stream of its own."""
    cell = cell_of(e.cell, e.D, e.H, e.biases)
    values: dict[str, np.ndarray] = {}
    for name, shape in _shapes(e, cell).items():
        g = draws(e.number, f"value {name}")
        value = g.standard_normal(shape)
        if name.startswith("log_period"):
            value = 0.6 + 1.6 * g.random(shape)
        elif name.startswith("shift"):
            value = 5.0 * value
        elif name.startswith(("weight", "bias")):
            value = value / e.H**0.5
        values[name] = value.astype(np.float32)
    return values | _marks(e, values)


def _marks(e: Example, values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return symbols, lengths, resets and times, as an example has them."""
    if e.face == "unroll":
        steps: tuple[int, ...] = (e.R, e.T, e.B)
        rows: tuple[int, ...] = (e.R, e.B)
    else:
        steps = values["x"].shape[:-1]
        rows = (e.R, e.B) if e.replicas else (e.B,)
    marks: dict[str, np.ndarray] = {}
    if e.symbols:
        marks["x"] = draws(e.number, "value symbols").integers(0, e.D, steps)
    if e.lengths:
        marks["lengths"] = draws(e.number, "value lengths").integers(0, e.T + 1, rows)
    if e.resets:
        marks["resets"] = draws(e.number, "value resets").random(steps) < 0.3
    if e.times != "none":
        shape = (e.T,) if e.times == "shared" else steps
        marks["times"] = draws(e.number, "value times").random(shape) * 30.0
    return marks
