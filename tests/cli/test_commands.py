"""Commands as a user would type them, on small real runs."""

import json
import os
import subprocess
import sys

import pytest

from memspan.cells import CELLS
from memspan.kernels import choose

SMALL = ("train", "palindrome", "--length", 5, "--cell", "rnn", "--hidden", 16, "--batch", 16, "--steps", 100)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("commands")


@pytest.fixture(scope="module")
def memspan(folder):
    def call(*words, code=0):
        result = subprocess.run(
            [sys.executable, "-m", "memspan", *map(str, words)],
            capture_output=True, text=True, cwd=folder, timeout=300, check=False,
        )  # fmt: skip
        assert result.returncode == code, result.stdout + result.stderr
        return result

    return call


@pytest.fixture(scope="module")
def trained(memspan):
    return json.loads(memspan(*SMALL, "--seeds", "0-1", "--json").stdout)


def test_train_prints_data_on_stdout_and_nothing_on_stderr_when_piped(memspan, trained):
    assert [row["seed"] for row in trained] == [0, 1]
    assert all(row["status"] == "finished" and 0 <= row["accuracy"] <= 1 for row in trained)
    assert memspan(*SMALL, "--seeds", "0-1").stderr == ""


def test_a_second_call_trains_nothing(memspan, trained):
    assert json.loads(memspan(*SMALL, "--seeds", "0-1", "--json").stdout) == trained


def test_runs_are_listed_counted_and_filtered(memspan, trained):
    assert json.loads(memspan("runs", "status", "--json").stdout)["finished"] == 2
    listed = json.loads(memspan("runs", "list", "--where", "cell=rnn", "seed=1", "--json").stdout)
    assert [row["id"] for row in listed] == [trained[1]["id"]]
    assert "did you mean 'cell'" in memspan("runs", "list", "--where", "cel=rnn", code=2).stderr


def test_exported_runs_are_imported_elsewhere_and_count_as_finished(memspan, trained):
    memspan("runs", "export", "runs.parquet")
    assert "2 runs added" in memspan("runs", "import", "runs.parquet", "--out", "other").stdout
    assert "0 runs added, 2 were there" in memspan("runs", "import", "runs.parquet", "--out", "other").stdout
    again = json.loads(memspan(*SMALL, "--seeds", "0-1", "--out", "other", "--json").stdout)
    assert [row["accuracy"] for row in again] == [row["accuracy"] for row in trained]


def test_dry_run_trains_nothing_and_says_how_long(memspan, folder):
    told = memspan(*SMALL, "--seeds", "0-9", "--out", "new", "--dry-run").stdout
    assert "10 runs wanted, 0 stored, 10 to train" in told
    assert "about" in told
    assert not (folder / "new").exists()


def test_doctor_names_the_kernel_of_every_cell_and_why(memspan):
    found = json.loads(memspan("doctor", "--json").stdout)
    for name in CELLS:
        assert found["kernels"][f"{name}, float64"]["kernel"] == "reference"
        assert "float32" in found["kernels"][f"{name}, float64"]["reason"]
        assert f"{name}, float32" in found["kernels"]
    assert "torch" in found["versions"]
    assert found["kernel cache"]["folder"].startswith(os.environ["MEMSPAN_CACHE_DIR"])
    assert "compiled modules" in found["kernel cache"]["state"]
    assert "processor" in memspan("doctor").stdout


def test_doctor_warms_the_cache(memspan):
    chosen = [choose(CELLS.resolve(name)(1, 1)).kernel for name in CELLS]
    assert memspan("doctor", "--warm").stderr.count("compiling") == chosen.count("cpu")
