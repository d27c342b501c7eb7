"""The tab of the temporal gate: four sliders, and at once what they do to a clock, a crowd and a signal."""

from __future__ import annotations

import gradio as gr
import numpy as np

from memspan.app.svg import Chart
from memspan.cells.time_gate.curve import closed_time, mean_openness, openness, phase

END = 60.0
"""Milliseconds that the tab shows."""
SAMPLES = 241
UNITS, SPREAD = 32, 6.0
"""Units of the crowd, and the ratio of its longest period to the one chosen."""


def curve(period: float, shift: float, open_ratio: float, leak: float) -> dict[str, list[float]]:
    """Return time, phase and openness of one gate over the stretch shown, in milliseconds."""
    time = np.linspace(0, END, SAMPLES)
    return {
        "time": time.tolist(),
        "phase": phase(time, period, shift).tolist(),
        "openness": openness(time, period, shift, open_ratio, leak).tolist(),
    }


def show(period: float, shift: float, open_ratio: float, leak: float) -> str:
    """Return a line of numbers and the three charts of the tab as HTML."""
    gate = (period, shift, open_ratio, leak)
    return (
        f'<p class="facts">{_facts(period, open_ratio, leak)}</p>'
        + _clock(*gate)
        + _crowd(*gate)
        + _signal(*gate)
    )


def _corners(period: float, shift: float, open_ratio: float) -> np.ndarray:
    """Return the times between which k is straight, both sides of a jump included, and the two ends."""
    cycles = np.arange(np.floor(-shift / period) - 1, np.ceil((END - shift) / period) + 1) * period + shift
    inside = [cycles + f * period for f in (0, open_ratio / 2, open_ratio)]
    before = [times - 1e-9 * period for times in (cycles, inside[2])]
    every = np.concatenate([[0, END], *inside, *before])
    return np.unique(every[(every >= 0) & (every <= END)])


def _facts(period: float, open_ratio: float, leak: float) -> str:
    opened = open_ratio * period
    return (
        f"Open for <b>{opened:.3g} ms</b>, closed for <b>{closed_time(period, open_ratio):.3g} ms</b>,"
        f" every {period:.3g} ms. Mean openness <b>{100 * mean_openness(open_ratio, leak):.3g}%</b>."
    )


def _clock(period: float, shift: float, open_ratio: float, leak: float) -> str:
    chart = Chart("One gate", (0, END), (0, 1), "time (ms)", height=150)
    chart.legend([("openness k(t)", "main"), ("phase", "second")])
    begins = shift + period * np.arange(np.floor(-shift / period) - 1, np.ceil((END - shift) / period))
    begins = begins[begins + open_ratio * period > 0]
    for begin in begins:
        chart.span(begin, begin + open_ratio * period, "open")
    time = _corners(period, shift, open_ratio)
    chart.line(time, phase(time, period, shift), "second")
    chart.line(time, openness(time, period, shift, open_ratio, leak), "main")
    return chart.render(f"{len(begins)} openings in {END:g} ms, each of {open_ratio * period:.3g} ms")


def _crowd(period: float, shift: float, open_ratio: float, leak: float) -> str:
    """Draw one row a unit, periods from the one chosen up to ``SPREAD`` times as long."""
    title = f"{UNITS} units, periods from {period:.3g} ms (bottom) to {SPREAD * period:.3g} ms (top)"
    chart = Chart(title, (0, END), (0, UNITS), "time (ms)", height=190, ticks=())
    for unit, longer in enumerate(SPREAD ** (np.arange(UNITS) / (UNITS - 1))):
        time = _corners(longer * period, longer * shift, open_ratio)
        k = openness(time, longer * period, longer * shift, open_ratio, leak)
        chart.band(time, np.full(len(time), unit + 0.05), unit + 0.05 + 0.9 * k, "crowd")
    return chart.render(f"{100 * open_ratio:.0f}% of the units are open at a time, the slow ones rarely")


def _signal(period: float, shift: float, open_ratio: float, leak: float) -> str:
    """Draw a signal and the state of a unit that copies it while open, s ← s + k (x − s) a step."""
    time = np.linspace(0, END, SAMPLES)
    k = openness(time, period, shift, open_ratio, leak)
    x = 0.62 * np.sin(2 * np.pi * time / 23) + 0.3 * np.sin(2 * np.pi * time / 5.3 + 1)
    held, state = [], 0.0
    for value, gate in zip(x, k, strict=True):
        held.append(state := state + gate * (value - state))
    chart = Chart("What a unit holds of a signal", (0, END), (-1, 1), "time (ms)", ticks=(-1, 0, 1))
    chart.legend([("unit", "main"), ("signal", "second")])
    chart.line(time, x, "second")
    chart.line(time, held, "main")
    return chart.render("while the gate is closed the unit keeps the value it took last")


def tab() -> None:
    """Build the tab inside the open Blocks."""
    gr.Markdown("A gate lets a unit update only in short windows of its own clock. Move it.")
    with gr.Row():
        with gr.Column(scale=1, min_width=260):
            sliders = [
                gr.Slider(2, 40, value=15, step=0.5, label="Period τ (ms)"),
                gr.Slider(0, 40, value=0, step=0.5, label="Shift s (ms)"),
                gr.Slider(0.02, 1, value=0.4, step=0.01, label="Open ratio r"),
                gr.Slider(0, 0.5, value=0, step=0.005, label="Leak α"),
            ]
        with gr.Column(scale=3, min_width=320):
            charts = gr.HTML(show(15, 0, 0.4, 0), elem_id="gate-charts")
    for slider in sliders:
        slider.input(
            show, sliders, charts, queue=False,  # a picture of milliseconds waits for no one's training
            show_progress="hidden", trigger_mode="always_last", api_visibility="private",
        )  # fmt: skip
    gr.api(curve, api_name="gate")
