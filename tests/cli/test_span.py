"""``memspan span`` as a user would type it, on tiny real runs."""

import json
import subprocess
import sys

import pytest

from memspan.cli import main

TINY = (
    *("--steps", 40, "--hidden", 8, "--batch", 8, "--shortest", 4, "--longest", 8, "--seeds", "0-1"),
    *("--kernel", "reference", "--workers", 1),  # nothing to compile
)


@pytest.fixture(scope="module")
def memspan(tmp_path_factory):
    folder = tmp_path_factory.mktemp("span")

    def call(*words, code=0):
        result = subprocess.run(
            [sys.executable, "-m", "memspan", "span", *map(str, words)],
            capture_output=True, text=True, cwd=folder, timeout=300, check=False,
        )  # fmt: skip
        assert result.returncode == code, result.stdout + result.stderr
        return result

    call.folder = folder
    return call


def test_two_cells_share_a_table_and_a_picture(memspan):
    found = json.loads(memspan("rnn", "lstm", *TINY, "--match", "parameters", "--json").stdout)
    assert [span["cell"] for span in found] == ["rnn", "lstm"]
    assert [span["recipe"]["hidden"] for span in found] == [8, 4]
    assert all(span["span50"]["value"] == 0 and len(span["runs"]) == 2 for span in found)
    table = memspan("rnn", "lstm", *TINY, "--match", "parameters", "--plot", "span.svg").stdout
    assert "0 of  2 solved" in table
    assert "fewer than half reached it" in table
    assert "<svg" in (memspan.folder / "span.svg").read_text()


def test_a_dry_run_says_between_what_and_trains_nothing(memspan):
    told = memspan("rnn", *TINY, "--dry-run", "--out", "new").stdout
    assert "from 2 to about 8 runs" in told
    assert not (memspan.folder / "new").exists()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("lstn", "did you mean 'lstm'"),
        ("", "span needs a cell"),
        ("lstm --task sines", "no axis of difficulty"),
        ("lstm --shortest 9 --longest 5", "shortest ≤ longest"),
        ("gru --bias chrono", "forget gate"),
        ("lstm --plot span.doc", ".svg"),
        ("lstm --plot nowhere/span.svg", "no folder 'nowhere'"),
        ("lstm --match time", "--match"),
        ("lstm --seeds 3-1", "--seeds"),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(tmp_path, monkeypatch, capsys, line, words):
    monkeypatch.chdir(tmp_path)
    assert main(["span", *line.split()]) == 2
    told = capsys.readouterr()
    assert words in told.err
    assert len(told.err.strip().splitlines()) == 1
    assert not told.out
    assert not list(tmp_path.iterdir())
