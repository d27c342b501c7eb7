"""Figures of what probes found: drawn from made-up numbers, and restyled as any other."""

import dataclasses
import re

import numpy as np
import pytest
from made_up import record

from memspan.ledger import Measurement
from memspan.report.claims import CLAIMS, Word
from memspan.report.figures import FIGURES
from memspan.report.figures.save import for_page, save_figure
from memspan.report.figures.style import dark_colours

STEP = list(range(1, 10, 2))


def asked(cell, length, seed, passed=0.0, reach=1.0, bias="zero", optimizer="rmsprop"):
    """A run with the numbers of the probes of gradients and gates."""
    made = record(cell, length, seed, accuracy=0.9 if cell == "lstm" else 0.4, reached_step=500.0)
    config = dict(made.config) | {"bias": bias, "optimizer": optimizer}
    numbers = {"step": STEP}
    for when in ("before", "after"):
        falling = [10.0 ** (-k) for k in range(5)]
        names = ("h", "c") if cell == "lstm" else ("h",)
        numbers |= {
            f"{when}_{name}": falling for name in (*names, "contribution", "largest", "median", "bound")
        }
        numbers |= {f"{when}_{name}_passed": passed for name in names} | {f"{when}_reach": reach}
        numbers |= {f"{when}_{gate}_histogram": [0.1] * 10 for gate in "ifo"}
        numbers |= {f"{when}_time_constants": [1.0, 5.0, 20.0, 1e9]}
        numbers |= {f"{when}_{name}": [2.0, 9.0] for name in ("period", "shift")} | {"steps": 20}
        numbers |= {f"{when}_open_ratio": [0.1, 0.5]}
    return dataclasses.replace(made, config=config, metrics={**made.metrics, **numbers})


@pytest.fixture(scope="module")
def runs():
    lengths = [(cell, length) for cell in ("rnn", "lstm") for length in (10, 30, 100)]
    made = [asked(cell, length, seed) for cell, length in lengths for seed in range(5)]
    return [*made, *(asked("lstm", 100, seed, bias="chrono", optimizer="adam") for seed in range(5))]


@pytest.mark.parametrize(
    ("id", "written"),
    [
        ("fig-gradients", "after training"),
        ("fig-products", "before training"),
        ("fig-reach", "T = 30"),
        ("fig-gates", "Effective time constant of each unit"),
        ("fig-clock", "k(t), after training"),
    ],
)
def test_a_figure_says_what_it_shows_and_can_be_restyled(id, written, runs, tmp_path):
    panel = FIGURES[id]
    svg = save_figure(panel, panel.draw(runs), tmp_path)
    assert written in svg
    assert not set(re.findall(r"#[0-9a-f]{6}\b", for_page(svg, dark_colours())))


@pytest.mark.parametrize("id", ["fig-recursion", "fig-radius", "fig-adam"])
def test_figures_of_equations_are_drawn_from_answers(id, answers, tmp_path):
    panel = FIGURES[id]
    svg = save_figure(panel, panel.draw([m for m in answers if m.config["probe"] == panel.probe]), tmp_path)
    assert not set(re.findall(r"#[0-9a-f]{6}\b", for_page(svg, dark_colours())))


def test_variants_are_named():
    cells = ("lstm", "memspan.cells.lstm.variants:relu_g", "memspan.cells.lstm.variants:held_f")
    figure = FIGURES["fig-variants"].draw([asked(cell, 20, seed) for cell in cells for seed in range(2)])
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == ["LSTM as it is", "f held at 1", "g a ReLU"]


def answered(runs, probe):
    """The runs, and their numbers as a probe's measurements."""
    return runs, [Measurement({"probe": probe, "run": r.id, "version": 1}, r.metrics, {}) for r in runs]


def with_ids(runs):
    return [dataclasses.replace(r, id=str(number)) for number, r in enumerate(runs)]


@pytest.mark.parametrize(("kept", "word"), [(-5.0, Word.HOLDS), (-50.0, Word.FAILS)])
def test_c17_compares_what_lstm_and_rnn_pass(kept, word):
    seeds = range(6)
    made = [asked("rnn", 100, s, passed=-20.0) for s in seeds] + [asked("lstm", 100, s, kept) for s in seeds]
    made += [asked("lstm", 100, s, kept, bias="chrono", optimizer="adam") for s in seeds]
    assert CLAIMS["c17"].verdict(*answered(with_ids(made), "gradients")).word is word


def test_c35_wants_every_step_seen():
    made = [
        asked(cell, length, seed, reach=1.0 if length < 100 else 0.4)
        for cell in ("rnn", "lstm")
        for length in (10, 30, 100)
        for seed in range(6)
    ]
    verdict = CLAIMS["c35"].verdict(*answered(with_ids(made), "gradients"))
    assert verdict.word is Word.FAILS
    assert "RNN, T = 100" in verdict.detail
    assert CLAIMS["c35"].verdict(made, []).word is Word.NOT_RUN


def test_c34_wants_every_gate_but_relu_to_matter():
    names = ("sigmoid_g", "relu_g", "held_i", "held_f", "held_g", "held_o")
    made = []
    for name in ("lstm", *(f"memspan.cells.lstm.variants:{name}" for name in names)):
        for seed in range(6):
            late = {"reached_step": 300.0 if name == "lstm" else 900.0}
            run = record(name, 20, seed, **late)
            made.append(dataclasses.replace(run, config=dict(run.config) | {"bias": "forget_one"}))
    assert CLAIMS["c34"].verdict(made).word is Word.HOLDS
    early = [
        dataclasses.replace(r, metrics={"reached_step": 100.0}) if r.config["cell"].endswith("held_o") else r
        for r in made
    ]
    assert CLAIMS["c34"].verdict(early).word is Word.FAILS
    assert np.isfinite(CLAIMS["c34"].verdict(early).low)
