"""fig3a, fig3b: the two cells beside each other at every length."""

from __future__ import annotations

from matplotlib.figure import Figure

from memspan.report.figures.means import SPANS, draw_lengths, last_steps, length_axis
from memspan.report.figures.style import accuracy_axis, label_chance, seeds_note, styled
from memspan.report.records import Records, ended, where

CELLS = ("rnn", "lstm")


@styled
def draw_comparison(records: Records, name: str, shown: str = "RNN beside LSTM") -> Figure:
    """Draw the mean of every length with its 95% bootstrap interval over seeds, RNN and LSTM.

    Args:
        records: the study's runs.
        name: ``"mean_all"`` or ``"mean_last_1000"``.
        shown: what it shows, as its title begins.
    """
    runs = [run for cell in CELLS for run in ended(where(records, cell=cell))]
    figure = Figure(figsize=(6.2, 3.7), layout="constrained")
    axes = figure.add_subplot()
    counts = []
    for cell, shift in zip(CELLS, (-0.0045, 0.0045), strict=True):
        counts += draw_lengths(axes, where(runs, cell=cell), cell, name, seeds=False, shift=shift)
    span = last_steps(runs) if name == "mean_last_1000" else SPANS[name]
    length_axis(axes, runs)
    accuracy_axis(axes, f"Mean batch accuracy\n{span}")
    label_chance(axes)
    axes.set_title(f"{shown}, {span}; {seeds_note(counts)}")
    axes.legend(loc="upper right", bbox_to_anchor=(1.0, 0.9))
    return figure
