"""Layers and one-step cells as ONNX files, time and batch left open, compared in onnxruntime."""

from __future__ import annotations

import contextlib
import copy
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim

from memspan.errors import ArgumentError, KernelRefusal, OutputError
from memspan.layers.one_step import OneStep
from memspan.layers.recurrent import Recurrent

ROOM = {torch.float32: 1e-5, torch.float64: 1e-10}  # onnxruntime's own tanh and sigmoid, over ten steps
SIZES = ((5, 3), (9, 2), (1, 1))  # (T, B): traced with the first, compared with all of them


@dataclass(frozen=True)
class Exported:
    """What was written, and how far onnxruntime's results are from ours."""

    path: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    largest_difference: float


def to_onnx(layer: Recurrent | OneStep, path: str | Path, *, lengths: bool = False) -> Exported:
    """Write a layer, or one step of a cell, as an ONNX file, and compare it in onnxruntime at three sizes.

    Shapes:
        Inputs and outputs are those of the layer's call, state in and state out: ``input``, ``h_0`` …, with
        ``lengths`` (B,) if asked for, ``times`` (T, B) or ``time`` (B,) for a cell with a clock; ``output``
        (a layer only) and ``h_n`` …. T and B stay open.

    Raises:
        ArgumentError: the extra ``[export]`` is not installed, replicas, or lengths for one step.
        OutputError: the path cannot be written, or onnxruntime computes something else.

    Differs:
        onnxruntime refuses a scan over T = 0 steps.

    Example:
        >>> from memspan.layers import LSTM
        >>> made = to_onnx(LSTM(3, 5, num_layers=2), "layer.onnx")    # doctest: +SKIP
        >>> made.outputs                                              # doctest: +SKIP
        ('output', 'h_n', 'c_n')
    """
    _require_extra()
    if isinstance(layer, Recurrent) and layer.replicas is not None:
        raise ArgumentError("a layer with replicas is not exported; export one replica's weights")
    if isinstance(layer, Recurrent) and layer.kernel not in ("auto", "reference"):
        raise KernelRefusal(f"an exported program cannot hold the {layer.kernel} kernel; take kernel='auto'")
    if isinstance(layer, OneStep) and lengths:
        raise ArgumentError("one step has no lengths; export the layer instead")
    graph = _Graph(copy.deepcopy(layer).eval().requires_grad_(False), lengths)
    given = graph.example(*SIZES[0])
    with _quiet():
        program = torch.onnx.export(
            graph, given, dynamo=True, verbose=False, dynamic_shapes=graph.open_axes(),
            input_names=graph.input_names, output_names=graph.output_names,
        )  # fmt: skip
    assert program is not None
    try:
        program.save(str(path))
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written ({error.strerror or error}); choose another file"
        ) from None
    return Exported(
        str(path), tuple(graph.input_names), tuple(graph.output_names), _largest_difference(graph, path)
    )


class _Graph(nn.Module):
    """A layer with tensors in and tensors out, by position."""

    def __init__(self, layer: Recurrent | OneStep, lengths: bool) -> None:
        super().__init__()
        self.layer, self.lengths = layer, lengths
        states, step = layer.cell.states, isinstance(layer, OneStep)
        self.clock = layer.cell.clock(None, 1, torch.device("cpu")) is not None
        self.input_names = ["input", *(f"{name}_0" for name in states)]
        self.input_names += ["lengths"] * lengths + ["times" if not step else "time"] * self.clock
        self.output_names = [*([] if step else ["output"]), *(f"{name}_n" for name in states)]

    def forward(
        self, input: Tensor, state: tuple[Tensor, ...], ends: Tensor | None, clock: Tensor | None
    ) -> tuple[Tensor, ...]:
        hx = state if len(state) > 1 else state[0]
        if isinstance(self.layer, OneStep):
            new = self.layer(input, hx, time=clock)
            return new if isinstance(new, tuple) else (new,)
        output, last = self.layer(input, hx, lengths=ends, times=clock)
        return (output, *(last if isinstance(last, tuple) else (last,)))

    def example(self, T: int, B: int) -> tuple[Any, ...]:
        """Return a random call of T steps and B rows."""
        layer = self.layer
        like, ends = next(layer.parameters()), torch.arange(B).flip(0) % (T + 1) if self.lengths else None
        if isinstance(layer, OneStep):
            axes: tuple[int, ...] = (B,)
            lead: tuple[int, ...] = ()
        else:
            axes = (B, T) if layer.batch_first else (T, B)
            lead = (layer.num_layers * layer.directions,)
        state = (torch.randn(*lead, B, layer.hidden_size) for _ in layer.cell.states)
        x = torch.randn(*axes, layer.input_size).to(like)
        clock = torch.rand(axes, dtype=torch.float64) * 100 if self.clock else None
        return x, tuple(s.to(like) for s in state), ends, clock

    def open_axes(self) -> tuple[Any, ...]:
        """Return which axes of every input stay open."""
        T, B = Dim("T"), Dim("B")
        if isinstance(self.layer, OneStep):
            row = {0: B}
            return row, tuple(row for _ in self.layer.cell.states), None, row if self.clock else None
        axes = {0: B, 1: T} if self.layer.batch_first else {0: T, 1: B}
        state = tuple({1: B} for _ in self.layer.cell.states)
        return axes, state, {0: B} if self.lengths else None, axes if self.clock else None


def _largest_difference(graph: _Graph, path: str | Path) -> float:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    largest = 0.0
    for T, B in SIZES:
        x, state, *more = graph.example(T, B)
        flat = [x, *state, *(value for value in more if value is not None)]
        made = session.run(
            graph.output_names, {n: t.detach().numpy() for n, t in zip(graph.input_names, flat, strict=True)}
        )
        with torch.no_grad():
            wanted = graph(x, state, *more)
        largest = max(
            [
                largest,
                *((torch.from_numpy(a) - b).abs().max().item() for a, b in zip(made, wanted, strict=True)),
            ]
        )
    if not largest <= ROOM[next(graph.parameters()).dtype]:
        raise OutputError(f"{path}: onnxruntime's results are off by {largest:.1e}; do not use the file")
    return largest


def _require_extra() -> None:
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ArgumentError(f"the export needs {error.name}; run: pip install 'memspan[export]'") from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what the exporter says about itself (deprecations, torchvision) from the user."""
    logs = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript")]
    levels = [log.level for log in logs]
    for log in logs:
        log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for log, level in zip(logs, levels, strict=True):
            log.setLevel(level)
