"""The tab of the text: a model writes at two temperatures, each character coloured by its surprisal."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr
import numpy as np

from memspan.app import models
from memspan.app.refusal import SHORT, refused
from memspan.errors import ArgumentError, MemspanError

if TYPE_CHECKING:
    from memspan.models.generation import Generated, Generation
    from memspan.text.vocabulary import Vocabulary

LONGEST_PROMPT, LONGEST_TEXT = 2000, 1000
BLOCK, PACE = 8, 0.04
"""Characters that appear at a time, and the seconds until the next: writing takes far less than reading."""
STRONGEST = 6.0
"""Bits of surprisal that get the full colour."""
SHOWN, LEAST = 6, 0.0005
"""Characters listed of a distribution, and the probability below which one is not."""
GETTING_READY = '<p class="facts">Getting ready: on a new machine the writing kernel is compiled once.</p>'
VISIBLE = {"\n": "⏎", " ": "␣", "\t": "⇥"}


def written(
    folder: Path, name: str, prompt: str, temperature: float, top_p: float, seed: int, length: int
) -> dict[str, Any]:
    """Return what a model writes after a prompt: the text and the surprisal of its characters in bits."""
    generation = _begin(folder, name, prompt, temperature, top_p, seed, length)
    for _ in generation.blocks():
        pass
    made = generation.result(0)
    return {"prompt": prompt, "text": made.text, "surprisal_bits": made.surprisal.round(4).tolist()}


def write(
    folder: Path, name: str, prompt: str, one: float, two: float, top_p: float, seed: float, length: float
) -> Iterator[tuple[str, str]]:
    """Write at two temperatures side by side; yield both texts as HTML, block by block."""
    if not models.WARM.is_set():
        yield GETTING_READY, ""
    rows = [_begin(folder, name, prompt, t, top_p, seed, length) for t in (one, two)]
    for _ in itertools.zip_longest(*(row.blocks(BLOCK) for row in rows)):
        yield _page(rows[0], one), _page(rows[1], two)
        time.sleep(PACE)
    yield _page(rows[0], one, hover=True), _page(rows[1], two, hover=True)


def _begin(
    folder: Path, name: str, prompt: str, temperature: float, top_p: float, seed: float, length: float
) -> Generation:
    if len(prompt) > LONGEST_PROMPT:
        raise ArgumentError(f"the prompt has {len(prompt):,} characters; this page reads {LONGEST_PROMPT:,}")
    if not 1 <= length <= LONGEST_TEXT:
        raise ArgumentError(f"length {length:g}: this page writes 1 … {LONGEST_TEXT:,} characters")
    if not 0 <= seed < 2**63:
        raise ArgumentError(f"seed {seed:g}: expected 0 or more")
    models.ready()
    from memspan.models.generation import Generation
    from memspan.models.sampling import Sampling

    sampling = Sampling(temperature=temperature, top_p=top_p, seed=int(seed))
    model = models.load(folder, name)
    return Generation(model, [prompt], int(length), sampling, (), 0, "error", True, "auto")


def _page(generation: Generation, temperature: float, hover: bool = False) -> str:
    made = generation.result(0)
    tips = _tips(generation.model.vocabulary, made) if hover else itertools.repeat("")
    body = "".join(
        _character(symbol, bits, tip)
        for symbol, bits, tip in zip(made.text, made.surprisal, tips, strict=False)
    )
    mean = f": {np.mean(made.surprisal):.2f} bits a character" if len(made.surprisal) else ""
    facts = f'<p class="facts">Temperature {temperature:g}{mean}</p>'
    return f'{facts}<div class="writing"><b>{escape(made.prompt)}</b>{body}</div>'


def _character(symbol: str, bits: float, tip: str) -> str:
    strength = min(1.0, max(0.0, float(bits)) / STRONGEST)
    seen = "<i>⏎</i>\n" if symbol == "\n" else escape(symbol)
    return f'<span class="ch" tabindex="-1" style="--s:{strength:.2f}">{seen}{tip}</span>'


def _tips(vocabulary: Vocabulary, made: Generated) -> Iterator[str]:
    """Yield for every character the most probable ones at its place, as a small list of bars."""
    assert made.distributions is not None
    for spread, bits in zip(made.distributions, made.surprisal, strict=True):
        best = [k for k in np.argsort(spread)[::-1][:SHOWN] if spread[k] >= LEAST]
        bars = "".join(_bar(vocabulary.decode([int(k)]), float(spread[k])) for k in best)
        yield f'<span class="tip"><span>{bits:.2f} bits</span>{bars}</span>'


def _bar(symbol: str, probability: float) -> str:
    name = VISIBLE.get(symbol, symbol)
    words = f"<code>{escape(name)}</code> {100 * probability:.1f}%"
    return f'<span class="bar" style="--p:{probability:.3f}">{words}</span>'


def tab(folder: Path) -> None:
    """Build the tab inside the open Blocks."""
    gr.Markdown(
        "A model names the next character, again and again; the stronger the colour, the more surprising."
    )
    with gr.Row():
        with gr.Column(scale=1, min_width=260):
            name = gr.Dropdown([*models.choices(folder)], value=models.SHIPPED, label="Model")
            prompt = gr.Textbox("The right of the people", label="Prompt", lines=2, max_lines=6)
            one = gr.Slider(0, 3, value=0.5, step=0.05, label="Temperature, left")
            two = gr.Slider(0, 3, value=2, step=0.05, label="Temperature, right")
            with gr.Accordion("More", open=False):
                top_p = gr.Slider(0.05, 1, value=1, step=0.05, label="Top-p")
                seed = gr.Number(0, precision=0, label="Seed")
                length = gr.Slider(20, LONGEST_TEXT, value=280, step=20, label="Characters")
            start = gr.Button("Write", variant="primary")
        texts = []
        for side in ("left", "right"):
            with gr.Column(scale=2, min_width=280):
                texts.append(gr.HTML('<div class="writing"></div>', elem_id=f"text-{side}"))

    def go(*values: Any) -> Iterator[tuple[str, str]]:
        try:
            yield from write(folder, *values)
        except MemspanError as error:
            yield "", ""
            raise refused(error) from None

    wishes = [name, prompt, one, two, top_p, seed, length]
    start.click(go, wishes, texts, api_name="compare", show_progress="hidden")
    prompt.submit(go, wishes, texts, api_visibility="private", show_progress="hidden")

    def api(
        model: str, prompt: str, temperature: float, top_p: float, seed: int, length: int
    ) -> dict[str, Any]:
        try:
            return written(folder, model, prompt, temperature, top_p, seed, length)
        except MemspanError as error:
            raise refused(error, SHORT) from None

    gr.api(api, api_name="write")
