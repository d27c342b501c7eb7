"""``memspan bench`` as typed: one small point, and wrong input in one line."""

import json
import subprocess
import sys

import pytest

from memspan.ledger import Ledger

SMALL = "--cell rnn --hidden 32 --batch 1 --threads 1 --ragged no --quick --busy"


def bench(*words, cwd):
    return subprocess.run(
        [sys.executable, "-m", "memspan", "bench", *words],
        capture_output=True, text=True, cwd=cwd, timeout=300, check=False,
    )  # fmt: skip


def test_one_point_from_the_filters_to_the_page(tmp_path):
    done = bench(
        "kernels", *SMALL.split(), "--json", "--out", "made", "--ledger", "kept.sqlite", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)
    assert done.stderr == ""
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

    again = bench("kernels", *SMALL.split(), "--missing", "--json", "--out", "made", cwd=tmp_path)
    assert json.loads(again.stdout) == []
    (tmp_path / "made/kernels.md").unlink()
    assert bench("kernels", "--render", "--out", "made", cwd=tmp_path).stdout.strip() == "made/kernels.md"
    assert "32" in (tmp_path / "made/kernels.md").read_text(encoding="utf-8")


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
def test_wrong_input_is_one_line_and_exit_code_2(tmp_path, line, words):
    done = bench(*line.split(), cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert all(word in done.stderr for word in words), done.stderr
    assert not list(tmp_path.iterdir())
