"""The text commands as a user would type them, on a small real model."""

import contextlib
import io
import json
from dataclasses import dataclass

import pytest

from memspan.cli import main
from memspan.cli.text_model import last_trained, remember

SMALL = ("--hidden", 16, "--batch", 8, "--window", 10, "--steps", 40, "--evaluate-every", 20, "--dropout", 0)


@dataclass
class Result:
    stdout: str
    stderr: str


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("text")


@pytest.fixture(scope="module")
def memspan(folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr("memspan.cli.text_model._note", lambda: folder / "last-text-model")

        def call(*words, code=0):
            out, err = io.StringIO(), io.StringIO()
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                got = main(["text", *map(str, words)])
            assert got == code, out.getvalue() + err.getvalue()
            return Result(out.getvalue(), err.getvalue())

        yield call


@pytest.fixture(scope="module")
def trained(memspan):
    return json.loads(memspan("train", *SMALL, "--out", "model", "--json").stdout)


def test_train_writes_a_model_and_says_how_well_it_foretells(folder, trained):
    assert {"config.json", "model.safetensors", "ledger.sqlite"} <= {
        f.name for f in (folder / "model").iterdir()
    }
    assert trained["model"] == "model"
    assert trained["characters"] == 2882
    assert 0 < trained["bits_per_char"] < 8


def test_the_same_command_again_trains_nothing(folder, memspan, trained):
    again = memspan("train", *SMALL, "--out", "model", "--json")
    assert json.loads(again.stdout) == trained
    assert again.stderr == ""


def test_complete_prints_the_completed_text_alone(memspan, trained):
    result = memspan("complete", "The right", "--length", 20, "--no-sentence", "--model", "model")
    assert result.stdout.startswith("The right")
    assert len(result.stdout) == len("The right") + 20 + 1
    assert result.stderr == ""


def test_prompts_side_by_side_are_completed_as_each_alone(memspan, trained):
    words = ("--length", 15, "--no-sentence", "--temperature", 0.8, "--seed", 5, "--model", "model")
    rows = json.loads(memspan("complete", "The right", "No person", *words, "--json").stdout)
    assert [row["prompt"] for row in rows] == ["The right", "No person"]
    assert all(len(row["text"]) == 15 and row["bits_per_char"] > 0 for row in rows)
    assert memspan("complete", "The right", *words).stdout == rows[0]["prompt"] + rows[0]["text"] + "\n"


def test_the_last_model_trained_is_meant_where_none_is_named(memspan, trained):
    named = memspan("sample", "--length", 30, "--seed", 3, "--model", "model").stdout
    assert memspan("sample", "--length", 30, "--seed", 3).stdout == named
    assert memspan("sample", "--length", 30, "--seed", 4).stdout != named


def test_evaluate_says_what_training_said(memspan, trained):
    told = json.loads(memspan("evaluate", "--model", "model", "--json").stdout)
    assert set(told) == {"bits_per_char", "nats_per_char", "accuracy", "characters"}
    assert told["bits_per_char"] == pytest.approx(trained["bits_per_char"])


def test_another_text_is_evaluated_as_far_as_its_characters_are_known(folder, memspan, trained):
    (folder / "other.txt").write_text("The right of the People – 42 times")
    refused = memspan("evaluate", "--model", "model", "--corpus", "other.txt", code=2)
    assert "'–'" in refused.stderr
    told = memspan("evaluate", "--model", "model", "--corpus", "other.txt", "--unknown", "skip", "--json")
    assert json.loads(told.stdout)["characters"] < 33


def test_the_best_model_on_the_validation_part_is_kept_and_training_ends_early(folder, memspan):
    words = ("--validation", 0.2, "--learning-rate", 0.3, "--patience", 1, "--steps", 400)
    told = json.loads(
        memspan("train", *SMALL[:-4], *words, "--evaluate-every", 20, "--out", "early", "--json").stdout
    )
    assert told["part"] == "validation"
    kept = json.loads(memspan("evaluate", "--model", "early/best", "--json").stdout)
    assert kept["bits_per_char"] == pytest.approx(told["bits_per_char"])


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("train --corpus nothing.txt", ["nothing.txt", "no such file"]),
        ("train --corpus empty.txt", ["0 characters", "at least 31"]),
        ("train --corpus one.txt", ["1 characters", "at least 31"]),
        ("train --corpus broken.txt", ["byte 2", "--unit byte"]),
        ("train --coding scalar", ["--coding", "one-hot"]),
        ("train --patience 2", ["--patience 2", "--validation"]),
        ("train --validation 1.5", ["validation 1.5"]),
        ("train --unit bytes", ["unit"]),
        ("sample --model ./nothing", ["nothing", "no such folder"]),
        ("complete é --model model", ["'é'", "--unknown skip"]),
        ("complete --model model The --temperature -1", ["temperature -1"]),
        ("sample --model model --number 0", ["--number 0"]),
        ("sample --model model --length -1", ["--length -1"]),
        ("evaluate --model model --corpus one.txt", ["at least 2"]),
        ("evaluate --model model --corpus one.txt --part test", ["--part test"]),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(folder, memspan, trained, line, words):
    (folder / "empty.txt").write_text("")
    (folder / "one.txt").write_text("a")
    (folder / "broken.txt").write_bytes(b"ab\xff" * 20)
    result = memspan(*line.split(), code=2)
    assert result.stdout == ""
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr
    for word in words:
        assert word in result.stderr


def test_a_model_that_has_gone_is_not_remembered(tmp_path, monkeypatch):
    monkeypatch.setattr("memspan.cli.text_model._note", lambda: tmp_path / "cache" / "last-text-model")
    assert last_trained() is None
    (tmp_path / "model").mkdir()
    remember(tmp_path / "model")
    assert last_trained() == tmp_path / "model"
    (tmp_path / "model").rmdir()
    assert last_trained() is None


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_on_a_terminal_samples_are_shown_while_it_learns(folder, memspan, monkeypatch):
    screen = Terminal()
    monkeypatch.setattr("memspan.cli.text_watch.MARKS", (1, 20))
    monkeypatch.setattr("memspan.cli.text_watch.EVERY", 40)
    with contextlib.redirect_stderr(screen):
        assert main(["text", "train", *map(str, SMALL), "--seed", "1", "--out", "shown"]) == 0
    rows = [line.split(maxsplit=2) for line in screen.getvalue().splitlines()]
    assert [row[0] for row in rows] == ["1", "20", "40"]
    assert all(row[1].endswith("%") and 1 <= len(row[2]) <= 31 for row in rows)
