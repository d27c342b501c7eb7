"""The tab of the inside: what a trained network's gates and gradients do on a sequence the visitor types."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import gradio as gr
import numpy as np

from memspan.app import models
from memspan.app.ledger import final_state, trained_runs
from memspan.app.refusal import SHORT, refused
from memspan.app.svg import Chart
from memspan.errors import ArgumentError, MemspanError

if TYPE_CHECKING:
    from memspan.config import RunConfig
    from memspan.models.character import CharacterModel
    from memspan.probes.specimen import Sequences, Specimen

LONGEST = 200
"""Symbols that a visitor may type."""
TYPED = {"text": "The right of the people", "digits": "314159265358979323846"}
SMALLEST = 1e-30
"""Norms below it are drawn as if they were it."""
KINDS = ("main", "second", "third", "fourth")


class Shown(NamedTuple):
    """Curves over the symbols read: norms of gradients, and mean activations of gates, by name."""

    symbols: str
    gradients: dict[str, np.ndarray]
    gates: dict[str, np.ndarray]


def look(folder: Path, name: str, typed: str) -> Shown:
    """Let a saved model read what was typed, but for the last symbol, which it is asked for.

    Raises:
        ArgumentError: fewer than 3 symbols or too many, or one the model does not know.
    """
    if not 3 <= len(typed) <= LONGEST:
        raise ArgumentError(f"{len(typed)} symbols: type 3 … {LONGEST}")
    models.ready()
    from memspan.probes.gates import gate_values
    from memspan.probes.gradients import one_thread, state_gradients

    runs = trained_runs(folder)
    with one_thread():
        specimen, shown = (
            _of_run(folder, runs[name], typed) if name in runs else _of_text(models.load(folder, name), typed)
        )
        gradients = state_gradients(specimen, shown)
        gates = gate_values(specimen, shown) if set(specimen.cell.gates) - set(specimen.cell.states) else {}
    means = {name: value.mean(dim=(1, 2)).numpy() for name, value in gates.items()}
    return Shown(typed[:-1], gradients, means)


def _of_run(folder: Path, run: RunConfig, typed: str) -> tuple[Specimen, Sequences]:
    """Return a palindrome network and the digits, its last one the answer."""
    from memspan.probes.specimen import Specimen
    from memspan.tasks.task import Batch

    if not (typed.isascii() and typed.isdigit()):
        raise ArgumentError(f"{typed!r}: this network reads digits only")
    digits = np.array([int(digit) for digit in typed], np.int64)
    specimen = Specimen.trained(run, final_state(folder, run))
    return specimen, specimen.shown(Batch(digits[:-1, None], digits[-1:]))


def _of_text(model: CharacterModel, typed: str) -> tuple[Specimen, Sequences]:
    """Return a character model's last layer, shown what the layers below it make of the text."""
    import torch
    from torch.nn import functional

    from memspan.probes.specimen import Sequences, Specimen

    symbols = torch.from_numpy(model.vocabulary.encode(typed, "error").astype(np.int64))
    read, asked = symbols[:-1], symbols[-1:]
    with torch.no_grad():
        x = (
            functional.one_hot(read, len(model.vocabulary))
            if model.embedding is None
            else model.embedding(read)
        )
        x = x.double()[:, None]
        layers = [Specimen.of_layer(model.recurrent, k) for k in range(model.recipe.layers)]
        for layer in layers[:-1]:
            clock = layer.cell.clock(None, len(x), x.device)
            states = layer.steps(Sequences(x, clock, None))
            x = torch.stack([state[0] for state in states[1:]]).detach()
    weight, bias = model.read_out.weight.detach().double(), model.read_out.bias.detach().double()
    read_out = weight / model.temperature, bias / model.temperature
    top = dataclasses.replace(layers[-1], read_out=read_out)
    return top, Sequences(x, top.cell.clock(None, len(x), x.device), asked)


def show(folder: Path, name: str, typed: str) -> str:
    """Return the two charts of the tab as HTML."""
    seen = look(folder, name, typed)
    return _gradients(seen) + (_gates(seen) if seen.gates else "<p>This cell has no gates.</p>")


def _gradients(seen: Shown) -> str:
    steps = np.arange(1, len(seen.symbols) + 1)
    logs = {name: np.log10(np.maximum(norms, SMALLEST)) for name, norms in seen.gradients.items()}
    every = np.concatenate(list(logs.values()))
    low, high = np.floor(every.min()), np.ceil(every.max() + 1e-9)
    title = "Gradient of the loss after each symbol, ‖∂L/∂state‖"
    chart = Chart(title, (0.5, len(steps) + 0.5), (low, max(high, low + 1)), height=180, powers=True)
    _draw(chart, steps, logs)
    _write(chart, seen.symbols)
    ratio = every[-1] - every[0]
    return chart.render(f"over {len(steps)} symbols; the last is {10**ratio:.3g} times the first")


def _gates(seen: Shown) -> str:
    steps = np.arange(1, len(seen.symbols) + 1)
    low = -1 if any(values.min() < 0 for values in seen.gates.values()) else 0
    ticks = (low, 0.5, 1) if low == 0 else (-1, 0, 1)
    chart = Chart("Gates, mean over the units", (0.5, len(steps) + 0.5), (low, 1), height=180, ticks=ticks)
    _draw(chart, steps, seen.gates)
    _write(chart, seen.symbols)
    told = ", ".join(f"{name} {values.mean():.2f}" for name, values in seen.gates.items())
    return chart.render(f"means: {told}")


def _draw(chart: Chart, steps: np.ndarray, curves: dict[str, np.ndarray]) -> None:
    kinds = dict(zip(curves, itertools.cycle(KINDS)))
    for name, kind in kinds.items():
        chart.line(steps, curves[name], kind)
    chart.legend([*kinds.items()])


def _write(chart: Chart, symbols: str) -> None:
    """Write the symbols below the axis, so many that they do not touch."""
    every = -(-len(symbols) // 60)
    chart.letters([(k + 1, symbols[k]) for k in range(0, len(symbols), every)])


def tab(folder: Path) -> None:
    """Build the tab inside the open Blocks."""
    gr.Markdown("Type something, and see which of its symbols a trained network still depends on at the end.")
    names = [*trained_runs(folder), *models.choices(folder)]
    first = names[0]
    with gr.Row():
        with gr.Column(scale=1, min_width=260):
            name = gr.Dropdown(names, value=first, label="Network")
            typed = gr.Textbox(_example(folder, first), label="Sequence", lines=3, max_lines=6)
            start = gr.Button("Look inside", variant="primary")
        with gr.Column(scale=3, min_width=320):
            charts = gr.HTML(elem_id="inside-charts")

    def go(name: str, typed: str) -> str:
        try:
            return show(folder, name, typed)
        except MemspanError as error:
            raise refused(error) from None

    def api(name: str, typed: str) -> dict[str, Any]:
        try:
            seen = look(folder, name, typed)
        except MemspanError as error:
            raise refused(error, SHORT) from None
        return {
            part: {k: v.tolist() for k, v in getattr(seen, part).items()} for part in ("gradients", "gates")
        }

    start.click(go, [name, typed], charts, api_visibility="private", show_progress="minimal")
    name.change(lambda name: _example(folder, name), name, typed, api_visibility="private")
    gr.api(api, api_name="inside")


def _example(folder: Path, name: str) -> str:
    return TYPED["digits" if name in trained_runs(folder) else "text"]
