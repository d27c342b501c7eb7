"""Findings, figures and the page, from made-up rows."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from rows import keys, made_up, rows_of

from memspan.bench.figures import FIGURES, costs, fractions, ratios
from memspan.bench.findings import Findings
from memspan.bench.page import page, table, write_page
from memspan.bench.points import Point
from memspan.errors import ArgumentError, OutputError

OTHERS = {
    "pack": {
        "replicas": 8,
        "threads": 2,
        "ours_ms": 1.0,
        "peer_ms": 3.0,
        "ratio": 3.0,
        "fresh_ms": 5.0,
        "fresh_ratio": 5.5,
        "gflops": 400.0,
        "ceiling_fraction": 0.8,
    },
    "avx2": {"note": "not measured: no such processor"},
    "compile": {"rnn": {"cold_seconds": 2.0, "cached_seconds": 0.1}},
    "memory": {"T": 100_000, "B": 16, "H": 128, "before_mib": 1, "above_mib": 700, "seconds": 3.0},
    "study": {
        "preset": "report",
        "runs": 24,
        "updates": 5,
        "turns": 2,
        "ours_minutes": 8,
        "plain_minutes": 40,
        "ratio": 5.0,
        "ratio_low": 4.5,
        "ratio_high": 5.5,
    },
}


@pytest.fixture(scope="module")
def rows():
    return made_up()


def test_every_training_point_is_in_the_figures(rows):
    labels = [text.get_text() for text in ratios(rows).axes[0].get_yticklabels()]
    assert labels[:4] == ["centre", "T 10", "T 50", "T 1000"]
    assert {"R 8", "B 4, H 32", "centre · packed", "H 512 · padded"} <= set(labels)
    assert len(ratios(rows).axes) == 2
    assert not [t for t in fractions(rows).axes[0].get_yticklabels() if "padded" in t.get_text()]


def test_cost_is_drawn_along_each_axis_only(rows):
    drawn = [{tuple(line.get_xdata()) for line in axes.lines} for axes in costs(rows).axes]
    assert drawn == [{(10, 50, 100, 1000)}, {(32, 64, 128, 256, 512)}, {(1, 8)}]


def test_figures_of_a_part_or_of_nothing_can_be_drawn(tmp_path, rows):
    for some in ([], [row for row in rows if row["cell"] == "gru" and row["R"] == 8]):
        write_page(Findings(rows=list(some)), tmp_path)


def test_the_page_and_its_figures(tmp_path, rows):
    found = Findings(rows=rows, others=OTHERS)
    text = write_page(found, tmp_path).read_text(encoding="utf-8")
    for name in FIGURES:
        assert f"{name}.svg" in text
        assert "<svg" in (tmp_path / f"{name}.svg").read_text(encoding="utf-8")
    for words in (
        "memspan bench kernels",
        "processor",
        "**3.0×**",
        "5.5×",
        "700 MiB",
        "**5.00×** (95% interval of the turns' median 4.50 to 5.50)",
        "80% of the ceiling",
        "not installed",
    ):
        assert words in text
    assert "others used 0.4 cores" in text
    assert str(tmp_path) not in text


def test_what_older_findings_lack_is_left_out(tmp_path, rows):
    lacking = {"pack": {"gflops", "ceiling_fraction"}, "study": {"ratio_low", "ratio_high"}}
    older = {name: {k: v for k, v in OTHERS[name].items() if k not in gone} for name, gone in lacking.items()}
    text = write_page(Findings(rows=rows[:1], others=older), tmp_path).read_text(encoding="utf-8")
    assert "**5.00×**. Extrapolated" in text
    assert "5.5×.\n" in text


def test_the_same_rows_give_the_same_bytes(tmp_path, rows):
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        write_page(Findings(rows=rows[:20]), folder)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_a_table_has_a_line_a_row(rows):
    assert len(table(rows).splitlines()) == len(rows) + 2


def test_parts_add_up_and_a_second_measurement_replaces_the_first(tmp_path, rows):
    found = Findings()
    found.add(rows[:5])
    found.write(tmp_path)
    again = Findings.read(tmp_path)
    again.add([rows[0] | {"ours_ms": 1.5}, rows[7]])
    assert keys(again.rows) == keys([*rows[:5], rows[7]])
    assert again.rows[0]["ours_ms"] == 1.5


def test_a_point_is_known_by_its_rows():
    found = Findings(rows=list(rows_of(Point("lstm"))))
    assert found.holds(Point("lstm"))
    assert not found.holds(Point("lstm", threads=1))


def test_findings_of_another_machine_do_not_mix(tmp_path, rows):
    Findings(machine={"processor": "an abacus"}, rows=rows[:1]).write(tmp_path)
    with pytest.raises(ArgumentError, match="another machine"):
        Findings.read(tmp_path)
    assert "an abacus" in page(Findings.read(tmp_path, drawing=True))


def test_foreign_files_and_missing_ones_are_said(tmp_path):
    with pytest.raises(ArgumentError, match="measure first"):
        Findings.read(tmp_path, drawing=True)
    (tmp_path / "kernels.json").write_text(json.dumps({"mine": 1}))
    with pytest.raises(ArgumentError, match="did not write this"):
        Findings.read(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        Findings().write(tmp_path / "file")
