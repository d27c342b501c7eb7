"""``memspan bench`` as typed: one small point, and wrong input in one line."""

import json

import pytest

from memspan.cli import main
from memspan.ledger import Ledger

SMALL = "--cell rnn --hidden 32 --batch 1 --threads 1 --ragged no --quick --busy"


@pytest.fixture
def bench(tmp_path, monkeypatch, capsys):
    """Type a command in an empty folder; the ceiling is known, so that nothing is compiled for it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("memspan.bench.kernels.best_ceiling", lambda threads: 100.0)

    def typed(*words):
        code = main(["bench", *words])
        return code, *capsys.readouterr()

    return typed


def test_one_point_from_the_filters_to_the_page(tmp_path, bench):
    code, out, said = bench("kernels", *SMALL.split(), "--json", "--out", "made", "--ledger", "kept.sqlite")
    assert (code, said) == (0, "")
    (row,) = json.loads(out)
    assert (row["H"], row["B"], row["equal"]) == (32, 1, True)
    made = {path.name for path in (tmp_path / "made").iterdir()}
    assert made == {
        *("kernels.md", "kernels.json"),
        *("kernels-ratio.svg", "kernels-ceiling.svg", "kernels-cost.svg"),
    }
    with Ledger.open(tmp_path / "kept.sqlite", readonly=True) as ledger:
        (kept,) = ledger.measurements(bench="kernels", cell="rnn")
    assert kept.values["ours_ms"] == row["ours_ms"]
    assert "processor" in kept.machine


def test_what_is_there_is_not_measured_again_and_can_be_drawn_again(tmp_path, bench):
    bench("kernels", *SMALL.split(), "--out", "made")
    assert bench("kernels", *SMALL.split(), "--missing", "--json", "--out", "made")[1].strip() == "[]"
    (tmp_path / "made/kernels.md").unlink()
    assert bench("kernels", "--render", "--out", "made")[1].strip() == "made/kernels.md"
    assert "| RNN | B 1, H 32 | 1 |" in (tmp_path / "made/kernels.md").read_text(encoding="utf-8")


def test_a_kernel_that_fails_its_check_ends_in_exit_code_1(monkeypatch, bench):
    monkeypatch.setattr("memspan.bench.sides.check", lambda problem: 0.5)
    code, out, _ = bench("kernels", *SMALL.split(), "--json", "--out", "made")
    assert code == 1
    assert [(row["equal"], row["ours_ms"]) for row in json.loads(out)] == [(False, None)]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("kernels --cell lstn", ["lstn", "'lstm'"]),
        ("kernels --hidden 100", ["--hidden 100", "128"]),
        ("kernels --length 10 --hidden 32", ["--hidden 32"]),
        ("kernels --threads two", ["--threads", "two"]),
        ("kernels --parts points pak", ["pak", "'pack'"]),
        ("kernels --ragged maybe", ["--ragged", "maybe"]),
        ("kernels --render", ["measure first"]),
        ("kernel", ["kernel", "'kernels'"]),
        ("study --updates 0", ["--updates 0", "at least 1"]),
        ("study --preset reprot", ["reprot", "'report'"]),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(tmp_path, bench, line, words):
    code, out, said = bench(*line.split())
    assert (code, out) == (2, "")
    assert len(said.strip().splitlines()) == 1, said
    assert all(word in said for word in words), said
    assert not list(tmp_path.iterdir())
