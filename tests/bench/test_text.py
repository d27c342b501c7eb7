"""The text benchmark: equality first, learning against the clock, the page from its rows."""

import dataclasses
import json

import pytest

from memspan.bench import text
from memspan.bench.corpus import lanes, learn, page, plain
from memspan.bench.text_page import read, say, write
from memspan.bench.timing import Effort
from memspan.cli.bench_text import ours
from memspan.cli.parse import parse
from memspan.config import RunConfig
from memspan.errors import ArgumentError
from memspan.machine import machine
from memspan.text.task import Text

ONCE = Effort(0.0, 1, 1)


def test_writing_is_timed_only_if_the_probabilities_are_equal(monkeypatch):
    row = text.writing_row(2, 40, 1, ONCE)
    assert row["equal"]
    assert row["ours_per_second"] > 0
    assert row["ratio"] == pytest.approx(row["ours_per_second"] / row["peer_per_second"], rel=1e-2)
    monkeypatch.setattr(text, "_difference", lambda *_: 1.0)
    assert "ours_per_second" not in text.writing_row(2, 40, 1, ONCE)


def test_training_is_timed_only_if_the_losses_are_equal(monkeypatch):
    small = [
        RunConfig(Text(), dataclasses.replace(run.recipe, hidden=8, batch=4)) for run in text.models()[:2]
    ]

    def models(dropout=0.5):
        return [RunConfig(Text(), dataclasses.replace(run.recipe, dropout=dropout)) for run in small]

    monkeypatch.setattr(text, "models", models)
    from memspan.cli.bench import update_of

    row = text.training_row(update_of, 1, ONCE)
    assert row["equal"]
    assert row["ratio"] > 0
    off = [type("Outcome", (), {"loss": 9.0})] * 2
    wrong = text.training_row(lambda runs, threads: lambda t: off, 1, ONCE)
    assert not wrong["equal"]
    assert "ours_ms" not in wrong


def test_both_sides_learn_a_corpus_by_one_page(tmp_path):
    file = tmp_path / "corpus.txt"
    file.write_text("what is learned by heart is told again, and again. " * 150)
    usual = page(file, 15)
    assert (usual.task.reading, usual.task.validation) == ("streams", 0.1)
    assert page(file, 60).recipe.hidden > usual.recipe.hidden
    recipe = dataclasses.replace(usual.recipe, hidden=16, batch=8, dropout=0.0)
    run = RunConfig(dataclasses.replace(usual.task, window=16), recipe)
    last = {}
    for side in (ours(run, 1), plain(run)):
        *readings, last[side.name] = learn(side, run, 0.02, every=2)
        assert [row["updates"] for row in readings] == [2 * k for k in range(1, len(readings) + 1)]
        assert last[side.name]["nats"] < 4
        assert str(tmp_path) not in str(last[side.name])  # a record names no folder of this machine
        assert last[side.name]["best"] <= last[side.name]["updates"]
    first = [next(learn(side, run, 0.001, every=3))["nats"] for side in (ours(run, 1), plain(run))]
    assert first[0] == pytest.approx(first[1], rel=1e-4)  # the same weights, data and rule
    with pytest.raises(ArgumentError, match="lanes"):
        lanes(ours(run, 1).model(), run.task.part("validation")[:100])


ROWS = [
    {"what": "writing", "rows": 1, "ours_per_second": 170_000, "peer_per_second": 4_000, "ratio": 42.5,
     "ours_threads": 1, "peer_threads": 2, "foreign_cores": 0.9, "code": "1"},
    {"what": "training", "rows": 64, "ours_ms": 40.0, "peer_ms": 90.0, "ratio": 2.25, "code": "1"},
    {"what": "first text", "rows": 1, "cold_seconds": 4.5, "cached_seconds": 0.1, "code": "1"},
    {"what": "corpus", "corpus": "c.txt", "minutes": 15.0, "side": "memspan", "threads": 1, "nats": 1.5,
     "config": "2×256 lstm", "updates": 9000, "best": 8500, "epochs": 40.0, "code": "1"},
]  # fmt: skip


def test_the_page_says_every_row(tmp_path):
    path = write(machine(), ROWS, tmp_path)
    told = path.read_text(encoding="utf-8")
    assert read(tmp_path) == ROWS
    assert all(say(row) in told for row in ROWS)
    assert "**170,000 characters a second**" in told
    assert "Others used 0.9 cores" in told
    assert "memspan on one core" in told
    assert json.loads((tmp_path / "text.json").read_text())["machine"] == machine()


def test_times_of_two_machines_do_not_mix(tmp_path):
    write({"cores": 3}, ROWS, tmp_path)
    with pytest.raises(ArgumentError, match="another machine"):
        parse(["bench", "text", "--busy", "--out", str(tmp_path)]).run()
    assert json.loads((tmp_path / "text.json").read_text())["rows"] == ROWS


@pytest.mark.parametrize("flags", [["--minutes", "0"], ["--every", "0"], ["--side", "jax"]])
def test_flags_that_cannot_be_meant(flags):
    with pytest.raises(ArgumentError, match="expected"):
        parse(["bench", "text", *flags]).run()
