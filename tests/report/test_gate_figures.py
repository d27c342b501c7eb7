"""fig4a–d, and the two claims about the gate's curve: drawn and judged without a run."""

import json
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from made_up import time_gate_measured

from memspan.cells.time_gate.curve import openness
from memspan.errors import ArgumentError
from memspan.ledger import Ledger
from memspan.probes import Probe, measure_missing
from memspan.probes import probe as probes
from memspan.report.build import write_report
from memspan.report.claims import CLAIMS, Word
from memspan.report.figures import FIGURES
from memspan.report.figures.gate import PERIODS, RATIOS, SHIFTS, Clock, corners, draw_gate
from memspan.report.figures.save import save_figure
from memspan.report.numbers import scientific
from memspan.study import PRESETS, preset

GATES = ("fig4a", "fig4b", "fig4c", "fig4d")


@pytest.mark.parametrize("clock", [*PERIODS, *SHIFTS, *RATIOS, Clock(7.3, -2.1, 0.35, 0.2)], ids=str)
def test_the_drawn_corners_are_the_gates_curve(clock):
    at, k = corners(clock, (-20, 60))
    rng = np.random.default_rng(0)
    t = rng.uniform(-20, 60, 2000)
    assert np.allclose(np.interp(t, at, k), openness(t, *clock), atol=1e-9)
    assert at.min() <= -20
    assert at.max() >= 60


@pytest.mark.parametrize("id", GATES)
def test_a_gates_figure_needs_no_runs_and_names_its_axes(id, tmp_path):
    svg = save_figure(FIGURES[id], FIGURES[id].draw([]), tmp_path)
    texts = "".join(ET.fromstring(svg).itertext())
    assert "Time t" in texts
    assert "k(t)" in texts
    assert "leak 0" in texts


def test_what_each_figure_varies_is_written_beside_its_rows():
    for id, names in {
        "fig4b": ["τ = 5", "τ = 10", "τ = 15", "τ = 30", "closed for 18"],
        "fig4c": ["s = 0", "s = 3", "s = 6", "s = 9", "9 later"],
        "fig4d": ["r = 0.1", "r = 0.4", "r = 0.7", "r = 1", "open for 6 of 15"],
        "fig4a": ["opening\n2φ/r", "closing\n2 − 2φ/r", "closed: the state is copied", "one cycle: τ = 15"],
    }.items():
        written = {text.get_text() for axes in FIGURES[id].draw([]).axes for text in axes.texts}
        assert set(names) <= written


def test_a_curve_of_too_many_cycles_is_refused():
    with pytest.raises(ArgumentError, match="cycles cannot be drawn"):
        draw_gate(Clock(period=1e-6))


@pytest.fixture(scope="module")
def measured():
    return Probe("time_gate", cases=300).answer()


def test_the_gates_controls_are_their_closed_forms(measured):
    errors = [measured[f"{name}_error"] for name in ("cycle", "position", "mean", "open", "closed")]
    assert measured["control_error"] == max(errors) < 1e-11
    assert all(error < 1e-11 for error in errors)


def test_the_closed_slopes_are_autograds_and_one_is_not(measured):
    assert measured["slope_error"] < 1e-13
    assert 1.5 < measured["said_error"] <= 2
    assert measured["flattest"] < 1e-3 < 1e3 < measured["steepest"]


def test_the_phase_jumps_and_the_openness_does_not(measured):
    assert measured["phase_jump"] == pytest.approx(1, abs=1e-8)
    assert measured["openness_jump"] < 1e-6
    assert measured["leak_jump_error"] < 1e-6


def test_c18_holds_and_c23_does_not():
    verdicts = {id: CLAIMS[id].verdict([], [time_gate_measured()]) for id in ("c18", "c23")}
    assert verdicts["c18"].word is Word.HOLDS
    assert verdicts["c23"].word is Word.FAILS
    assert (verdicts["c18"].value, verdicts["c18"].n) == (0.0, 2000)
    assert "2e−6 to 7e4" in verdicts["c23"].detail
    assert CLAIMS["c18"].verdict([], [time_gate_measured(control_error=0.1)]).word is Word.FAILS
    assert CLAIMS["c18"].verdict([]).word is Word.NOT_RUN


def test_numbers_of_any_size():
    told = [scientific(x) for x in (1.06e-13, 2e-7, 1.998, -1540, 72775.8, 0.0, None)]
    assert told == ["1.1e−13", "2e−7", "2", "−1,500", "7.3e4", "0", "–"]


def test_every_preset_asks_and_asks_once(tmp_path, monkeypatch):
    assert all(Probe("time_gate") in p.probes for p in PRESETS.values())
    asked = []
    monkeypatch.setattr(probes.Probe, "answer", lambda self: asked.append(self) or {"control_error": 0.0})
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        for _ in range(2):
            measure_missing([Probe("time_gate")], ledger)
        measure_missing([Probe("time_gate", seed=1)], ledger)
        assert len(ledger.measurements()) == len(asked) == 2


def test_a_preview_still_judges_the_gate(quick_study, answers, tmp_path):
    write_report(quick_study, tmp_path, preset("quick"), [*answers, time_gate_measured()])
    text = (tmp_path / "report.html").read_text()
    assert "This page is a preview" in text
    assert all(f'id="{id}"' in text for id in GATES)
    assert "largest relative error 2 over 2,000 random cases" in text
    rows = {row["id"]: row for row in json.loads((tmp_path / "claims.json").read_text())}
    assert (rows["c18"]["verdict"], rows["c18"]["n"]) == ("holds", 2000)
    assert (rows["c23"]["verdict"], rows["c23"]["value"]) == ("does not hold", 2.0)
    assert rows["c18"]["command"] == "memspan reproduce --only c18"
    assert rows["c04"]["verdict"] == "not yet run"
