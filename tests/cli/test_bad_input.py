"""Wrong input: one clear line on stderr, exit code 2, nothing half-written."""

import sqlite3
import subprocess
import sys

import pytest


def memspan(*words, cwd):
    return subprocess.run(
        [sys.executable, "-m", "memspan", *map(str, words)],
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=120,
        check=False,
    )


def refused(result, *words):
    assert result.returncode == 2, result.stderr
    assert result.stdout == ""
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr
    for word in words:
        assert word in result.stderr


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("trian palindrome", ["trian", "did you mean 'train'"]),
        ("train palindrome --lenght 5", ["--lenght", "--length"]),
        ("train palindrom --length 5", ["palindrom", "'palindrome'"]),
        ("train palindrome --length 5 --cell lstn", ["lstn", "'lstm'"]),
        ("train sines --length 5", ["sines", "no length"]),
        ("train palindrome --length 1", ["length 1", "at least 2"]),
        ("train palindrome --length 5 --steps 0", ["steps 0", "at least 1"]),
        ("train palindrome --length 5 --init xavier_norm", ["xavier_norm", "xavier_normal"]),
        ("train palindrome --length five", ["--length", "five"]),
        ("train palindrome", ["needs length"]),
        ("train palindrome --length 2 --bias chrono", ["chrono", "longer"]),
        ("train palindrome --length 5 --seeds 4-1", ["4-1", "0-4"]),
        ("train palindrome --length 5 --workers 0", ["workers", "at least 1"]),
        ("reproduce --preset quik", ["quik", "'quick'"]),
        ("reproduce --preset", ["--preset"]),
        ("runs", ["status", "import"]),
        ("runs imprt x", ["imprt", "'import'"]),
        ("runs list", ["no ledger"]),
        ("runs import missing.parquet", ["missing.parquet"]),
    ],
)
def test_one_line_and_exit_code_2(tmp_path, line, words):
    refused(memspan(*line.split(), cwd=tmp_path), *words)
    assert not list(tmp_path.iterdir())


def test_a_foreign_folder_is_left_alone(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("years of work")
    refused(memspan("reproduce", "--out", "mine", cwd=tmp_path), "mine")
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("")
    refused(memspan("train", "palindrome", "--length", 5, "--out", "file", cwd=tmp_path), "file")
    refused(memspan("reproduce", "--out", "file", cwd=tmp_path), "file")


@pytest.mark.parametrize("kind", ["text", "sqlite"])
def test_a_foreign_ledger_is_left_alone(tmp_path, kind):
    path = tmp_path / "out/ledger.sqlite"
    path.parent.mkdir()
    if kind == "text":
        path.write_text("no database at all, but long enough to be looked at " * 10)
    else:
        with sqlite3.connect(path) as db:
            db.execute("CREATE TABLE mine (x)")
        db.close()
    before = path.read_bytes()
    refused(memspan("train", "palindrome", "--length", 5, cwd=tmp_path), "ledger.sqlite")
    assert path.read_bytes() == before


def test_help_is_help(tmp_path):
    result = memspan("--help", cwd=tmp_path)
    assert result.returncode == 0
    assert "reproduce" in result.stdout
    assert memspan("train", "--help", cwd=tmp_path).returncode == 0
