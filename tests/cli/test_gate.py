"""``memspan gate``: the curve's numbers, its end point, a picture, and every mistake in one line."""

import json
import subprocess
import sys

import numpy as np
import pytest

from memspan.cells.time_gate.curve import openness, phase
from memspan.cli import main

USUAL = "--period 15 --shift 0 --open-ratio 0.4 --leak 0 --from 0 --to 60 --step 0.5"


@pytest.fixture
def gate(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def call(line, code=0):
        assert main(["gate", *line.split()]) == code
        said = capsys.readouterr()
        if code:
            assert said.out == ""
            assert len(said.err.strip().splitlines()) == 1
        return said.err if code else said.out

    return call


def test_as_typed_by_a_user(tmp_path):
    result = subprocess.run(
        [sys.executable, "-m", "memspan", "gate", *USUAL.split(), "--json", "--plot", "gate.png"],
        capture_output=True, text=True, cwd=tmp_path, timeout=120, check=False,
    )  # fmt: skip
    assert (result.returncode, result.stderr) == (0, "")
    found = json.loads(result.stdout)
    assert list(found) == ["time", "phase", "openness"]
    assert found["time"] == [i / 2 for i in range(121)]
    assert found["openness"] == openness(found["time"], 15, 0, 0.4).tolist()
    assert found["phase"] == phase(found["time"], 15).tolist()
    assert (tmp_path / "gate.png").read_bytes().startswith(b"\x89PNG")


def test_the_usual_values_are_the_defaults(gate):
    assert gate(USUAL) == gate("")


def test_a_table_has_a_line_a_point(gate):
    lines = gate("--to 3 --step 1").splitlines()
    assert lines[0].split() == ["time", "phase", "openness"]
    assert [line.split()[0] for line in lines[1:]] == ["0", "1", "2", "3"]
    assert lines[-1].split()[-1] == "1.000000"


def test_the_end_point_is_included_and_times_are_round(gate):
    assert json.loads(gate("--from 0 --to 1 --step 0.1 --json"))["time"] == [i / 10 for i in range(11)]
    assert json.loads(gate("--from -1 --to 1 --step 0.75 --json"))["time"] == [-1, -0.25, 0.5, 1]
    assert json.loads(gate("--from 5 --to 5 --json"))["time"] == [5]


def test_shift_and_leak(gate):
    found = json.loads(gate("--period 7 --shift -3.5 --open-ratio 0.2 --leak 0.1 --from -20 --to 20 --json"))
    assert np.array_equal(found["openness"], openness(found["time"], 7, -3.5, 0.2, 0.1))


@pytest.mark.parametrize("suffix", ["svg", "pdf", "PNG"])
def test_a_picture_of_every_kind(gate, tmp_path, suffix):
    gate(f"--plot k.{suffix}")
    assert (tmp_path / f"k.{suffix}").stat().st_size > 1000


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--period 0", ["period 0", "positive"]),
        ("--period -3", ["period -3"]),
        ("--period nan", ["period nan"]),
        ("--open-ratio 0", ["open ratio 0", "at most 1"]),
        ("--open-ratio 1.5", ["open ratio 1.5"]),
        ("--leak 2", ["leak 2"]),
        ("--shift inf", ["shift inf"]),
        ("--step 0", ["--step 0", "positive"]),
        ("--from 3 --to 2", ["--to 2 is before --from 3"]),
        ("--from nan", ["--from nan"]),
        ("--step 1e-9", ["points"]),
        ("--plot missing/k.png", ["missing/k.png", "cannot be written"]),
        ("--plot k.bmp", ["k.bmp", ".svg"]),
        ("--period 1e-6 --plot k.png", ["cycles cannot be drawn"]),
        ("--form 3", ["--form", "did you mean '--from'"]),
        ("--start 3", ["--start"]),
        ("--period", ["--period"]),
    ],
)
def test_one_line_and_exit_code_2(gate, tmp_path, line, words):
    told = gate(line, code=2)
    for word in words:
        assert word in told
    assert not list(tmp_path.iterdir())
