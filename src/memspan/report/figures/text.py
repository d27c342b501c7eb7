"""fig-text-learning, -scale and -sampling: what character models learn, and what temperatures do to them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from memspan.report.claims.text_findings import fours, model, number, sampled
from memspan.report.figures.panel import Panel
from memspan.report.figures.style import INK, MUTED, styled
from memspan.report.records import Records, batch_accuracy, values, where
from memspan.study.text import TEMPERATURES

COLOURS = {"A": "#0b62a4", "B": "#1f7a4d", "C": "#c2500a", "D": "#a3244f"}
SAMPLED = {
    "dictionary_share": "Share of dictionary words",
    "distinct_2": "Distinct word pairs",
    "bits": "Bits per character",
}


@styled
def draw_learning(records: Records) -> Figure:
    """Draw batch accuracy of models A to D while they learn, and how model B's samples get better."""
    figure = Figure(figsize=(9.2, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name, temperature in TEMPERATURES.items():
        runs = where(records, temperature=temperature)
        longest = max((run.config["steps"] for run in runs), default=0)
        curves = [batch_accuracy(run) for run in runs if run.config["steps"] == longest]
        if curves:
            mean = np.mean([curve.mean for curve in curves], axis=0)
            left.plot(curves[0].step, mean, color=COLOURS[name], label=f"{name}, T = {temperature:g}")
    _label(left, "Step", "Batch accuracy", "Models A to D, mean over seeds")
    for field, words, style in (
        ("dictionary_share", "dictionary words in samples", "o-"),
        ("stream_accuracy", "corpus foretold as one stream", "s--"),
    ):
        _along_steps(right, where(records, temperature=1.0), field, words, style)
    _label(right, "Step", "Share", "Model B, median over seeds")
    right.set_xscale("symlog", linthresh=100)
    for axes in (left, right):
        axes.set_ylim(-0.02, 1.04)
        axes.legend(fontsize=7.5, loc="lower right")
    return figure


def _along_steps(axes: Axes, runs: Records, field: str, words: str, style: str) -> None:
    at = values(runs, "steps")
    found = [[number(run, field) for run in where(runs, steps=steps)] for steps in at]
    pairs = [
        (s, float(np.nanmedian(v))) for s, v in zip(at, found, strict=True) if not all(map(math.isnan, v))
    ]
    if pairs:
        axes.plot(
            *zip(*pairs, strict=True), style, color=INK if style == "o-" else MUTED, label=words, markersize=4
        )


@styled
def draw_scale(records: Records) -> Figure:
    """Draw the spread of the logits before and after the division by T against T, a point a seed."""
    figure = Figure(figsize=(6.2, 3.9), layout="constrained")
    axes = figure.add_subplot()
    every = fours(records, steps=max(values(records, "steps"), default=0))
    kinds = {
        "raw_logit_std": ("before the division", "o", COLOURS["C"]),
        "logit_std": ("after it", "s", COLOURS["A"]),
    }
    x = list(TEMPERATURES.values())
    for field, (words, marker, colour) in kinds.items():
        rows = [[number(four[name], field) for name in TEMPERATURES] for four in every.values()]
        for row in rows:
            axes.plot(x, row, marker, color=colour, alpha=0.45, markersize=4, markeredgewidth=0)
        if rows:
            axes.plot(x, np.mean(rows, axis=0), marker + "-", color=colour, label=words)
    if every:
        base = float(np.mean([number(four["B"], "raw_logit_std") for four in every.values()]))
        axes.plot(
            x, [base * T for T in x], color=MUTED, linestyle=(0, (4, 3)), label="before it, if T is undone"
        )
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    axes.set_xticks(x, [f"{T:g}" for T in x])
    _label(
        axes,
        "Training temperature T",
        "Spread of the logits over the vocabulary",
        "1 seed" if len(every) == 1 else f"n = {len(every)} seeds",
    )
    axes.legend(fontsize=7.5)
    return figure


@styled
def draw_sampling(records: Records) -> Figure:
    """Draw measures of samples against the temperature of sampling: model B, and A to D sampled at 1."""
    figure = Figure(figsize=(9.2, 3.4), layout="constrained")
    steps = max(values(records, "steps"), default=0)
    for axes, (field, words) in zip(figure.subplots(1, 3), SAMPLED.items(), strict=True):
        made = [sampled(run, field) for run in model(records, "B", steps=steps)]
        _mean_line(axes, made, "T of sampling, model B", "o-", COLOURS["B"])
        trained = [
            {TEMPERATURES[name]: sampled(run, field).get(1.0, math.nan) for name, run in four.items()}
            for four in fours(records, steps=steps).values()
        ]
        _mean_line(axes, trained, "T of training, sampled at 1", "s--", MUTED)
        _label(axes, "T", words, "")
        axes.set_ylim(bottom=0)
    figure.axes[0].legend(fontsize=7.5, loc="lower left")
    return figure


def _mean_line(
    axes: Axes, rows: Sequence[Mapping[float, float]], words: str, style: str, colour: str
) -> None:
    at = sorted({T for row in rows for T in row})
    means = [float(np.nanmean([row.get(T, math.nan) for row in rows])) for T in at]
    if at:
        axes.plot(at, means, style, color=colour, label=words, markersize=4)


def _label(axes: Axes, x: str, y: str, title: str) -> None:
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.set_title(title)


PANELS = (
    Panel(
        "fig-text-learning",
        "Character models while they learn",
        "Left, four lines of batch accuracy against step, one a temperature, lower for higher ones. Right,"
        " the"
        " share of dictionary words in greedy samples and the share of the corpus foretold, against step.",
        draw_learning,
        ("c24", "c28"),
        probe="text",
    ),
    Panel(
        "fig-text-scale",
        "What trained networks did with the temperature",
        "Points and lines of the spread of the logits against the training temperature, on logarithmic"
        " scales:"
        " before the division by T and after it, beside a dashed line where the division would be wholly"
        " undone.",
        draw_scale,
        ("c26", "c27"),
        probe="text",
    ),
    Panel(
        "fig-text-sampling",
        "A temperature in sampling and in training",
        "Three panels against the temperature: share of dictionary words, distinct word pairs and bits per"
        " character, a solid line for the temperature of sampling and a dashed one for that of training.",
        draw_sampling,
        ("c30",),
        probe="text_sampling",
    ),
)
