"""What each figure is called, shows, and is drawn by."""

from __future__ import annotations

import importlib
from collections.abc import Callable

from matplotlib.figure import Figure

from memspan.report.figures.comparison import draw_comparison
from memspan.report.figures.curves import draw_curves
from memspan.report.figures.gate import draw_explained, draw_periods, draw_ratios, draw_shifts
from memspan.report.figures.means import draw_means
from memspan.report.figures.panel import Panel
from memspan.report.records import where

MODULES = ("clocks", "equations", "events", "gates", "gradients", "spread", "text", "variations")
"""Modules of this folder with ``PANELS``, a tuple of ``Panel``; adding one is one line here."""


def _curves(id: str, cell: str, name: str, claims: tuple[str, ...]) -> Panel:
    described = (
        "Line charts of batch accuracy from 0 to 1 against training step: above, one line per palindrome "
        "length; below, one panel per length with a thin line per seed. A dashed line marks chance, 0.10."
    )
    return Panel(
        id, f"{name}: batch accuracy while training", described, lambda r: draw_curves(r, cell), claims
    )


def _means(id: str, cell: str, name: str, number: str, words: str, claims: tuple[str, ...]) -> Panel:
    described = (
        f"Points of mean batch accuracy {words} against palindrome length, with 95% intervals over seeds"
        " and small dots for the single seeds; shaded where the report says they lie."
        " A dashed line marks chance, 0.10."
    )
    return Panel(
        id, f"{name}: mean accuracy {words}", described, lambda r: draw_means(r, cell, number), claims
    )


def _comparison(id: str, number: str, words: str, claims: tuple[str, ...]) -> Panel:
    described = (
        f"Two lines of mean batch accuracy {words} against palindrome length, squares for the vanilla RNN and"
        " circles for the LSTM, with 95% intervals over seeds. A dashed line marks chance, 0.10."
    )
    return Panel(
        id, f"RNN beside LSTM: mean accuracy {words}", described, lambda r: draw_comparison(r, number), claims
    )


def _gate(id: str, title: str, described: str, draw: Callable[[], Figure], *claims: str) -> Panel:
    return Panel(id, title, described, lambda runs: draw(), claims, from_runs=False)


ROWS = "Four rows of the openness k(t), a row of triangles from 0 to 1 each, against time from 0 to 60: "
ALL, LAST = "over all steps", "at the end of training"
FIGURES: dict[str, Panel] = {
    panel.id: panel
    for panel in (
        _curves("fig1a", "rnn", "Vanilla RNN", ("c05", "c06")),
        _means("fig1b", "rnn", "Vanilla RNN", "mean_all", ALL, ("c08",)),
        _means("fig1c", "rnn", "Vanilla RNN", "mean_last_1000", LAST, ("c04",)),
        _curves("fig2a", "lstm", "LSTM", ("c06",)),
        _means("fig2b", "lstm", "LSTM", "mean_all", ALL, ("c16",)),
        _means("fig2c", "lstm", "LSTM", "mean_last_1000", LAST, ("c12", "c13")),
        _comparison("fig3a", "mean_all", ALL, ("c16",)),
        _comparison("fig3b", "mean_last_1000", LAST, ("c15",)),
        Panel(
            "fig-repetition",
            "RNN beside LSTM when every batch is fed eight times",
            "As Figure 3b, two lines of mean batch accuracy at the end of training against palindrome length,"
            " with intervals, from networks that saw each batch eight times in a row.",
            lambda records: draw_comparison(
                where(records, repeat=8), "mean_last_1000", "Every batch eight times"
            ),
            ("c33",),
        ),
        _gate(
            "fig4a",
            "The temporal gate explained",
            "Above, the phase rises from 0 to 1 in each cycle and falls back at its end. Below, the openness"
            " k rises to 1 and falls to 0 in the open part of each cycle and is 0 in the rest; a dashed line"
            " shows a leak, which rises with the phase.",
            draw_explained,
            "c23",
        ),
        _gate(
            "fig4b",
            "Openness for several periods",
            ROWS + "periods 5, 10, 15 and 30, closed for 3, 6, 9 and 18.",
            draw_periods,
            "c18",
        ),
        _gate(
            "fig4c",
            "Openness for several shifts",
            ROWS + "shifts 0, 3, 6 and 9 move the same triangles to the right by as much.",
            draw_shifts,
        ),
        _gate(
            "fig4d",
            "Openness for several open ratios",
            ROWS + "open ratios 0.1, 0.4, 0.7 and 1, open for 1.5, 6, 10.5 and 15 of 15.",
            draw_ratios,
        ),
        *(
            panel
            for name in MODULES
            for panel in importlib.import_module(f"memspan.report.figures.{name}").PANELS
        ),
    )
}
