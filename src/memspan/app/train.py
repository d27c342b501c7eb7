"""The tab of the memory span: train a network while watching, beside stored runs of the same kind."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from html import escape
from pathlib import Path
from typing import Any, get_args

import gradio as gr
import numpy as np

from memspan.app import models
from memspan.app.guard import Listeners
from memspan.app.ledger import solved_shares, stored_curves
from memspan.app.refusal import refused
from memspan.app.svg import Chart
from memspan.app.turns import AT_ONCE, Trainings
from memspan.cells import CELLS
from memspan.config import Bias, Init, Optimizer, Recipe, RunConfig
from memspan.errors import ArgumentError, MemspanError

LONGEST, WIDEST, MOST_STEPS = 300, 256, 5000
REDRAW = 0.3
"""Seconds between two pictures."""
SMOOTH = 25
"""Batches of the moving mean."""
RATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
READY = "<p>Choose, then press Train.</p>"
WAIT = f"<p>{AT_ONCE} others are training. Yours begins when one of them ends.</p>"
TRAININGS = Trainings()
LISTENERS = Listeners()
DEFAULT_CELL, DEFAULT_BIAS = "lstm", "forget_one"


def run_of(
    cell: str, length: float, init: str, bias: str, optimizer: str, rate: float, hidden: float, steps: float,
    seed: float,
) -> RunConfig:  # fmt: skip
    """Return the run a visitor asks for.

    Raises:
        ArgumentError: more than a shared machine should do, or what no run could be.
    """
    for name, value, most in (
        ("length", length, LONGEST),
        ("hidden", hidden, WIDEST),
        ("steps", steps, MOST_STEPS),
    ):
        if not 1 <= value <= most:
            raise ArgumentError(
                f"{name} {value:g}: this page trains 1 … {most}; the command line has no limit"
            )
    wanted = {
        "task": "palindrome", "length": int(length), "cell": cell, "hidden": int(hidden), "init": init,
        "bias": bias, "optimizer": optimizer, "learning_rate": rate, "steps": int(steps), "seed": int(seed),
    }  # fmt: skip
    return RunConfig.from_stored(wanted)  # whoever visits the page names no code


def biases(cell: str) -> list[str]:
    """Return the initial biases that a cell can have: those that its recipe accepts."""

    def accepted(bias: Any) -> bool:
        try:
            Recipe(cell=cell, bias=bias)
        except ArgumentError:
            return False
        return True

    return [bias for bias in get_args(Bias) if accepted(bias)]


def watch(
    run: RunConfig, session: str, folder: Path, heard: Callable[[str], bool] = lambda session: True
) -> Iterator[tuple[str, str]]:
    """Train a run and yield what to show, about three times a second: a line of words and a chart.

    Training ends early when ``heard`` says that nobody listens to this session any more.
    """
    models.ready()
    from memspan.training.train import Training

    beside = stored_curves(folder, run)
    with TRAININGS.begin(session) as stop:
        training = Training([run], progress_every=REDRAW, checkpoint_every=1e9, should_stop=stop.is_set)
        began = time.monotonic()
        yield (
            "Getting ready: the first training of a cell compiles its kernel.",
            _chart(training, run, beside),
        )
        for _ in training.events():
            if not heard(session):  # else its place would be taken to the end, for nobody
                stop.set()
            yield _words(training, run, began, stop.is_set()), _chart(training, run, beside)
        yield _words(training, run, began, stop.is_set(), over=True), _chart(training, run, beside)


def _words(training: Any, run: RunConfig, began: float, stopped: bool, over: bool = False) -> str:
    step = training.step
    accuracy = (
        np.nan_to_num(training.histories[0].until("accuracy", step)) if training.histories else np.empty(0)
    )
    held_out = f"held-out accuracy <b>{100 * accuracy[-1]:.0f}%</b>" if len(accuracy) else "not tested yet"
    pace = step / max(1e-9, time.monotonic() - began)
    state = "stopped" if stopped else "done" if over else f"{pace:.0f} steps a second"
    solved = f" Solved at step {first}." if (first := _solved_at(accuracy, run)) else ""
    return f"Step {step:,} of {run.recipe.steps:,}, {held_out}, {state}.{solved}"


def _solved_at(accuracy: np.ndarray, run: RunConfig) -> int | None:
    there = np.flatnonzero(np.asarray(accuracy) >= run.task.solved_at)
    return int(there[0] + 1) * run.recipe.evaluate_every if len(there) else None


def _chart(training: Any, run: RunConfig, beside: list[tuple[np.ndarray, np.ndarray]]) -> str:
    chart = Chart("Accuracy while training", (0, run.recipe.steps), (0, 1), "training step", height=240)
    chart.line((0, run.recipe.steps), (run.task.chance(),) * 2, "goal")
    stored = [("stored runs", "beside")] if beside else []
    chart.legend([("batches", "main"), ("fresh sequences", "second dots"), *stored, ("chance", "goal")])
    for steps, values in beside:
        kept = steps <= run.recipe.steps
        chart.line(steps[kept], values[kept], "beside")
    if not training.histories:
        return chart.render("the run diverged")
    history = training.histories[0]
    batch = history.until("batch_accuracy", training.step)
    if len(batch) >= SMOOTH:
        smooth = np.convolve(batch, np.ones(SMOOTH) / SMOOTH, "valid")
        thin = np.unique(np.linspace(0, len(smooth) - 1, 400).astype(int))
        chart.line(thin + SMOOTH, smooth[thin], "main")
    tested = history.until("accuracy", training.step)
    chart.dots(run.recipe.evaluate_every * np.arange(1, len(tested) + 1), tested, "second")
    return chart.render(f"{training.step} of {run.recipe.steps} steps, {len(beside)} stored runs beside it")


def shares(folder: Path) -> str:
    """Return the share of stored runs that solved each length, a line a recipe, as HTML."""
    found = solved_shares(folder)
    if not found:
        return ""
    lengths = [length for recipe in found.values() for length in recipe]
    title = "Stored runs: share that solved the length"
    chart = Chart(title, (min(lengths), max(lengths)), (0, 1), "length T (digits)", height=200)
    kinds = dict(zip(found, ("main", "second", "third", "fourth"), strict=False))
    for name, kind in kinds.items():
        at, seen = list(found[name]), list(found[name].values())
        chart.band(at, [s.low or 0.0 for s in seen], [s.high or 0.0 for s in seen], f"interval {kind}")
        chart.line(at, [s.value for s in seen], kind)
    chart.legend([*kinds.items()])
    n = "; ".join(f"{name}: {sum(s.n for s in recipe.values())} runs" for name, recipe in found.items())
    return (
        chart.render(f"with 95% Wilson intervals; {n}")
        + f'<p class="source">{escape(n)}; 95% Wilson intervals.</p>'
    )


def tab(page: gr.Blocks, folder: Path) -> None:
    """Build the tab inside the open Blocks."""
    gr.Markdown("Read a palindrome but its last digit, then name it: it is the first one. How far back?")
    with gr.Row():
        with gr.Column(scale=1, min_width=260):
            cell = gr.Dropdown([*CELLS], value=DEFAULT_CELL, label="Cell")
            length = gr.Slider(4, 100, value=20, step=1, label="Length T (digits)")
            init = gr.Dropdown([*get_args(Init)], value="xavier_normal", label="Initial weights")
            bias = gr.Dropdown(biases(DEFAULT_CELL), value=DEFAULT_BIAS, label="Initial biases")
            optimizer = gr.Dropdown([*get_args(Optimizer)], value="rmsprop", label="Optimiser")
            with gr.Accordion("More", open=False):
                rate = gr.Dropdown([*RATES], value=1e-3, label="Learning rate")
                hidden = gr.Slider(8, WIDEST, value=128, step=8, label="Hidden units")
                steps = gr.Slider(100, MOST_STEPS, value=2000, step=100, label="Steps")
                seed = gr.Number(0, precision=0, label="Seed")
            with gr.Row():
                start = gr.Button("Train", variant="primary", min_width=100)
                stop = gr.Button("Stop", min_width=100)
        with gr.Column(scale=3, min_width=320):
            words = gr.HTML(READY, elem_id="train-words")
            chart = gr.HTML(elem_id="train-chart")
            gr.HTML(shares(folder), elem_id="stored-shares")
    cell.change(_offered, [cell, bias], bias, api_visibility="private", show_progress="hidden")
    wishes = [cell, length, init, bias, optimizer, rate, hidden, steps, seed]
    _connect(page, folder, wishes, start, stop, [words, chart])


def _offered(cell: str, bias: str) -> Any:
    """Return the biases a visitor may choose for a cell; the chosen one stays where the cell has it."""
    there = biases(cell)
    return gr.Dropdown(choices=there, value=bias if bias in there else there[0])


def trainings() -> int:
    """Return how many networks are being trained."""
    return len(TRAININGS)


def _connect(
    page: gr.Blocks, folder: Path, wishes: list[Any], start: gr.Button, stop: gr.Button, shown: list[gr.HTML]
) -> None:
    """Say what the buttons and a closed page do."""

    def train(request: gr.Request, *values: Any) -> Iterator[tuple[str, str]]:
        session = request.session_hash or ""
        if not TRAININGS.wanted(session):
            return
        try:
            yield from watch(run_of(*values), session, folder, LISTENERS.heard)
        except MemspanError as error:
            raise refused(error) from None
        finally:
            LISTENERS.forget(session)

    def queue(request: gr.Request) -> Any:
        return WAIT if TRAININGS.queue(request.session_hash or "") else gr.skip()

    def leave(request: gr.Request) -> Any:
        return READY if TRAININGS.stop(request.session_hash or "") else gr.skip()

    def close(request: gr.Request) -> None:
        TRAININGS.stop(request.session_hash or "")

    start.click(queue, None, shown[0], api_visibility="private", show_progress="hidden", queue=False)
    start.click(
        train, wishes, shown, api_name="train", show_progress="hidden",
        concurrency_limit=AT_ONCE, concurrency_id="training",
    )  # fmt: skip
    gr.api(trainings, api_name="trainings")
    stop.click(leave, None, shown[0], api_name="stop", show_progress="hidden", queue=False)
    page.unload(close)
