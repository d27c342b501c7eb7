"""``memspan sweep``: grids and study files; and the commands that look after the runs."""

import csv
import json
import sys

import pytest

from memspan.cli import main
from memspan.cli.bounds import values_of
from memspan.cli.grid import Grid, grid_runs
from memspan.cli.runs_status import Board, watch
from memspan.config import RunConfig
from memspan.errors import ArgumentError
from memspan.ledger import Ledger
from memspan.ledger.events import Checkpoint, Finished, Started, Stopped

SMALL = "--hidden 8 --batch 8 --steps 20 --workers 1"


@pytest.fixture
def memspan(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def call(line, code=0):
        assert main(line.split()) == code
        said = capsys.readouterr()
        if code == 2:
            assert said.out == ""
            assert len(said.err.strip().splitlines()) == 1
        return said.err if code else said.out

    return call


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("5", [5]),
        ("10:100:10", [10, 20, 30, 40, 50, 60, 70, 80, 90, 100]),
        ("1:3", [1, 2, 3]),
        ("0:5:2", [0, 2, 4]),
        ("0.1:0.3:0.1", [0.1, 0.2, 0.3]),
        ("1e-3,1e-2", [1e-3, 1e-2]),
        ("5,10:30:10,5", [5, 10, 20, 30]),
        ("lstm,gru", ["lstm", "gru"]),
        ("-1:1", [-1, 0, 1]),
        ("true,false", [True, False]),
        ("tests.own:Cell", ["tests.own:Cell"]),
    ],
)
def test_values_and_ranges(text, values):
    found = values_of("--x", text)
    assert found == values
    assert list(map(type, found)) == list(map(type, values))


@pytest.mark.parametrize("text", ["", "1,,2", "5:1", "1:5:0", "1:5:-1"])
def test_what_is_no_list_of_values_is_refused(text):
    with pytest.raises(ArgumentError, match=r"--x .*expected"):
        values_of("--x", text)


def test_a_grid_is_every_combination():
    grid = Grid(cell="lstm,gru", length="10:30:10", learning_rate="1e-3,1e-2")
    runs = grid_runs("palindrome", grid, [0, 1])
    assert len({run.id for run in runs}) == len(runs) == 2 * 3 * 2 * 2
    last = RunConfig.from_flat({"cell": "gru", "length": 30, "learning_rate": 1e-2, "seed": 1})
    assert last in runs


def test_every_field_of_every_task_and_of_the_recipe_is_a_flag():
    import dataclasses

    from memspan.config import Recipe
    from memspan.tasks import TASKS

    wanted = {f.name for owner in (Recipe, *map(TASKS.resolve, TASKS)) for f in dataclasses.fields(owner)}
    assert {f.name for f in dataclasses.fields(Grid)} == wanted


def test_a_grid_is_trained_and_summed_up(memspan, tmp_path):
    line = f"sweep --cell rnn,gru --length 3:4 --lr 1e-2 --seeds 0-1 {SMALL}"
    planned = memspan(f"{line} --dry-run")
    assert "8 runs wanted, 0 stored, 8 to train" in planned
    assert "4 packs of at most 2 runs" in planned
    assert not (tmp_path / "out").exists()
    lines = memspan(line).splitlines()
    assert lines[0].split() == ["cell", "length", "runs", "stopped", "solved", "accuracy"]
    assert [row.split()[:4] for row in lines[1:]] == [
        ["gru", "3", "2", "0"],
        ["gru", "4", "2", "0"],
        ["rnn", "3", "2", "0"],
        ["rnn", "4", "2", "0"],
    ]
    rows = json.loads(memspan(f"{line} --json"))
    assert {(row["cell"], row["length"], row["seed"]) for row in rows} == {
        (cell, length, seed) for cell in ("rnn", "gru") for length in (3, 4) for seed in (0, 1)
    }
    assert {row["learning_rate"] for row in rows} == {0.01}
    assert "8 stored, 0 to train" in memspan(f"{line} --dry-run")


def test_a_study_file_lists_its_runs(memspan, tmp_path):
    (tmp_path / "study.py").write_text(
        "from memspan.config import RunConfig\n"
        "def runs():\n"
        "    return [RunConfig.from_flat({'length': 3, 'steps': 5, 'seed': s}) for s in range(3)]\n"
    )
    assert "3 runs wanted" in memspan("sweep study.py --dry-run")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("sweep", ["needs length"]),
        ("sweep --length 5 --lenght 6", ["--lenght", "'--length'"]),
        ("sweep --length 5 --cell lstm,grru", ["grru", "'gru'"]),
        ("sweep --length 5:1", ["--length 5:1", "start ≤ stop"]),
        ("sweep --length 5 --hidden ten", ["hidden='ten'", "expected int"]),
        ("sweep --length 5 --ratio 10", ["ratio"]),
        ("sweep --task palindrom --length 5", ["palindrom", "'palindrome'"]),
        ("sweep --length 5 --cell rnn,lstm --bias forget_one", ["forget", "rnn"]),
        ("sweep --length 5 --seeds 4-1", ["4-1"]),
        ("sweep --length 5 --address auto", ["--engine ray"]),
        ("sweep --length 5 --engine ray --gpus -1", ["--gpus -1"]),
        ("sweep --length 5 --checkpoint-every 0", ["--checkpoint-every 0"]),
        ("sweep missing.py", ["missing.py", "no such file"]),
        ("sweep empty.py", ["empty.py", "no function runs()"]),
        ("sweep wrong.py", ["wrong.py", "'lstm'"]),
        ("sweep empty.py --hidden 5", ["--hidden", "belongs to a grid"]),
        ("runs retry", ["no ledger"]),
        ("runs delete", ["which runs"]),
        ("runs status", ["no ledger"]),
    ],
)
def test_one_line_and_exit_code_2(memspan, tmp_path, line, words):
    (tmp_path / "empty.py").write_text("")
    (tmp_path / "wrong.py").write_text("def runs():\n    return ['lstm']\n")
    said = memspan(line, code=2)
    for word in words:
        assert word in said
    assert not (tmp_path / "out").exists()


@pytest.fixture
def stored(tmp_path):
    """A ledger with a run of every kind: planned, held, interrupted, finished, stopped."""
    (tmp_path / "out").mkdir()
    runs = [RunConfig.from_flat({"length": 5, "steps": 100, "seed": s}) for s in range(5)]
    _, held, left, done, wild = (run.id for run in runs)
    with Ledger.open(tmp_path / "out/ledger.sqlite") as ledger:
        ledger.register(runs)
        for run_id in (held, left, done, wild):
            ledger.append(Started(run_id, 0))
        for run_id in (held, left):
            ledger.append(Checkpoint(run_id, 50, state=b"x"))
        ledger.append(Finished(done, 100, metrics={"accuracy": 0.5}))
        ledger.append(Stopped(wild, 7, reason="diverged"))
        assert ledger.holds.take(held)
        yield ledger, runs


def test_status_tells_who_is_alive(memspan, stored):
    counts = {"planned": 1, "running": 1, "interrupted": 1, "finished": 1, "stopped": 1}
    assert json.loads(memspan("runs status --json")) == counts
    heading, line = memspan("runs status").splitlines()
    assert heading.split() == [*counts, "done"]
    assert line.split() == ["palindrome", "lstm", "1", "1", "1", "1", "1", "60%"]


def test_the_live_table_ends_when_nothing_is_running(memspan, stored, monkeypatch, capsys):
    ledger, runs = stored
    looks = []

    def sleep(_):
        looks.append(1)
        if len(looks) == 2:
            ledger.append(Finished(runs[1].id, 100))

    monkeypatch.setattr("memspan.cli.runs_status.time.sleep", sleep)
    watch(Board(ledger))
    assert len(looks) == 2
    assert capsys.readouterr().out.split()[-8:] == ["palindrome", "lstm", "1", "0", "1", "2", "1", "70%"]


def test_retry_takes_stopped_runs_and_asks_before_a_finished_one(memspan, stored):
    ledger, runs = stored
    assert "1 runs will be trained again" in memspan("runs retry")
    assert ledger.get(runs[4].id).status == "planned"
    said = memspan(f"runs retry {runs[3].id}", code=2)
    assert "forget the results of 1 finished runs" in said
    assert "--yes" in said
    assert ledger.get(runs[3].id).status == "finished"
    memspan(f"runs retry {runs[3].id} --yes")
    assert ledger.get(runs[3].id).status == "planned"


def test_delete_asks_and_leaves_alone_what_is_being_trained(memspan, stored, monkeypatch):
    ledger, runs = stored
    assert "--yes" in memspan("runs delete --where status=finished", code=2)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    for answer, code, left in (("n\n", 130, 5), ("y\n", 0, 4)):
        monkeypatch.setattr(sys.stdin, "readline", lambda said=answer: said, raising=False)
        memspan("runs delete --where status=finished", code=code)
        assert len(ledger.select()) == left
    memspan("runs delete --where cell=lstm --yes", code=1)
    assert [r.id for r in ledger.select()] == [runs[1].id]
    assert "unknown run" in memspan("runs delete nobody --yes", code=2)


def test_csv_is_written_when_the_name_says_so(memspan, stored, tmp_path):
    _, runs = stored
    assert "2 runs written" in memspan("runs export all.csv")
    with (tmp_path / "all.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    assert set(rows) == {runs[3].id, runs[4].id}
    assert (rows[runs[3].id]["length"], rows[runs[3].id]["final_accuracy"]) == ("5", "0.5")
