"""``memspan bench gate``: rows to page and ledger, equality first."""

import json

import pytest

from memspan.bench import gate
from memspan.bench.gate import ALL, COLUMNS, KEY, OPEN, PLAIN, GatePoint, Problem, measure, points
from memspan.bench.gate_page import cost, merged, page, read, write
from memspan.cli import main
from memspan.ledger import Ledger

MACHINE = {"processor": "made up"}


def made_up():
    """Rows as a quiet machine might give them: in no way measured."""
    sides = {OPEN: lambda share: 150 * share + 0.5, ALL: lambda share: 150.0, PLAIN: lambda share: 140.0}
    return [
        dict.fromkeys(COLUMNS)
        | {"what": what, "share": r, "open_share": 0.98 * r, "side": side, "T": 1000, "B": 128, "H": 128}
        | {
            "ms": ms(r),
            "us_per_step": ms(r),
            "ratio": ms(r) / sides[OPEN](r),
            "ratio_low": 0.9 * ms(r) / sides[OPEN](r),
            "ratio_high": 1.1 * ms(r) / sides[OPEN](r),
            "threads": 2,
            "side_threads": 2,
        }
        | {"equal": True, "error": 1e-7, "calls": 5, "foreign_cores": 0.0, "code": "0.1.0+made-up"}
        for what in ("training", "forward")
        for r in gate.SHARES
        for side, ms in sides.items()
    ]


def test_every_share_and_both_streams_are_measured():
    there = points()
    assert {p.share for p in there if p.what == "training"} == set(gate.SHARES)
    assert {(p.what, p.B, p.H) for p in there if p.B == 1} == {
        ("one call", 1, 512),
        ("one call a step", 1, 512),
    }


def test_the_page_has_a_line_of_each_kernel_and_every_row(tmp_path):
    rows = made_up()
    write(MACHINE, rows, tmp_path)
    assert read(tmp_path) == (MACHINE, rows)
    lines = {line.get_label(): line for line in cost(rows).axes[0].lines}
    assert set(lines) == {OPEN, ALL, PLAIN}
    assert len(lines[OPEN].get_xdata()) == len(gate.SHARES)
    assert page(MACHINE, rows).count(f"| {OPEN} |") == 2 * len(gate.SHARES)
    assert "| 70 [63, 77] |" in page(MACHINE, rows)  # no gate at 1% open
    newer = [row | {"ms": 1.0} for row in rows[:1]]
    assert merged(MACHINE, newer, tmp_path)[0]["ms"] == 1.0
    assert len(merged(MACHINE, newer, tmp_path)) == len(rows)
    assert merged({"processor": "other"}, newer, tmp_path) == newer


def test_a_kernel_that_differs_is_not_timed(monkeypatch):
    monkeypatch.setattr(Problem, "error", lambda problem: 0.5)
    rows = measure(GatePoint("training", 0.1, T=3, B=2, H=4), quick=True)
    assert {row["side"] for row in rows} == {OPEN, ALL, PLAIN}
    assert all(not row["equal"] and row["ms"] is None for row in rows)
    assert "not timed" in page(MACHINE, rows)


def test_the_command_keeps_its_rows(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(gate, "measure", lambda point, quick: made_up()[:3])
    told = ["bench", "gate", "--busy", "--share", "0.01", "--what", "training", "--json"]
    assert main([*told, "--out", str(tmp_path), "--ledger", str(tmp_path / "kept.sqlite")]) == 0
    rows = json.loads(capsys.readouterr().out)
    with Ledger.open(tmp_path / "kept.sqlite", readonly=True) as ledger:
        kept = ledger.measurements(bench="gate", what="training")
    assert [m.values["ms"] for m in kept] == [row["ms"] for row in rows]
    assert set(kept[0].config) == {"bench", *KEY}
    assert {p.name for p in tmp_path.iterdir()} >= {"gate.json", "gate.md", "gate-cost.svg"}


@pytest.mark.parametrize("words", [["--share", "0.3"], ["--what", "dreaming"]])
def test_what_is_not_measured_is_said(words, capsys):
    assert main(["bench", "gate", "--busy", *words]) == 2
    assert "no point is left" in capsys.readouterr().err
