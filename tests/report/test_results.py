"""Published results: what is written, that they give the same document again, and that changes show."""

import hashlib
import json
from pathlib import Path

import pytest
from made_up import made_up_study, studied

from memspan.cli import main
from memspan.errors import LedgerError, OutputError
from memspan.ledger import Ledger
from memspan.ledger.events import Finished, Piece, Started
from memspan.report import build_report
from memspan.report.results import ANSWERS, SUMS, VERDICTS, opened_results, publish
from memspan.study import preset
from memspan.study.leaderboard import board_search

ROOT = Path(__file__).parents[2]


def fill(ledger, answers, change=None):
    """Put the made-up quick study into a ledger; ``change`` alters the line of the first run."""
    runs = studied("quick")
    ledger.register(runs)
    for run, made_up in zip(runs, made_up_study("quick"), strict=True):
        line = made_up.curve("batch_accuracy").mean
        metrics = dict(made_up.metrics)
        if change and run is runs[0]:
            metrics |= change
        ledger.append(Started(run.id, 0, facts={"kernel": "made up"}))
        curves = {"batch_accuracy": Piece(1, 1, line)}
        ledger.append(
            Finished(run.id, len(line), curves=curves, state=b"end", metrics=metrics, wall_seconds=1)
        )
    for answer in answers:
        ledger.measure(answer.config, answer.values, answer.machine)


@pytest.fixture
def published(answers, few_figures, tmp_path):
    """The made-up study's document, and its results."""
    room = tmp_path / "published"
    room.mkdir()
    with Ledger.open(room / "ledger.sqlite") as ledger:
        fill(ledger, answers)
        build_report(ledger, room / "out", preset="quick")
        verdicts = (room / "out" / VERDICTS).read_text()
        publish(ledger, preset("quick"), verdicts, room / "results")
    return room


def test_results_give_the_same_document_byte_for_byte(published, tmp_path, capsys):
    results = published / "results"
    names = {path.name for path in results.iterdir()}
    assert {"palindromes.parquet", ANSWERS, VERDICTS, SUMS} <= names
    for line in (results / SUMS).read_text().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((results / name).read_bytes()).hexdigest() == digest
    arguments = ["reproduce", "--preset", "quick", "--from", str(results)]
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "out" / "report.html")
    for name in ("report.html", "report.pdf", "claims.json", "figures/fig1b.svg", "tables/lengths.csv"):
        assert (tmp_path / "out" / name).read_bytes() == (published / "out" / name).read_bytes(), name
    assert not (tmp_path / "out" / "runs.parquet").exists()
    (results / ANSWERS).write_text("[]")
    with (
        pytest.raises(LedgerError, match=r"answers.json' is missing or was changed"),
        opened_results(results),
    ):
        pass


def test_runs_of_the_leaderboard_are_published_too(tmp_path):
    search = board_search("GRU", "copy")
    asked = [search.run(length, seed) for length, seeds in [search.next({})] for seed in seeds]
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        ledger.register(asked)
        for run in asked:
            ledger.append(Started(run.id, 0))
            ledger.append(Finished(run.id, run.recipe.steps, state=b"end", metrics={"solved": 1.0}))
        publish(ledger, preset("quick"), "[]", tmp_path / "results")
    with opened_results(tmp_path / "results") as again:
        assert {record.id for record in again.select()} == {run.id for run in asked}


def test_a_results_folder_is_taken_into_a_ledger_once(published, tmp_path, capsys):
    command = ["runs", "import", str(published / "results"), "--out", str(tmp_path / "mine")]
    wanted = len(studied("quick"))
    for said in (f"{wanted} runs added, 0 were", f"0 runs added, {wanted} were"):
        assert main(command) == 0
        assert said in capsys.readouterr().out
        with (
            Ledger.open(tmp_path / "mine" / "ledger.sqlite", readonly=True) as mine,
            Ledger.open(published / "ledger.sqlite", readonly=True) as theirs,
        ):
            assert {(run.id, run.status) for run in mine.select()} == {
                (run.id, "finished") for run in theirs.select()
            }
            answered = json.loads((published / "results" / ANSWERS).read_text())
            assert [m.config for m in mine.measurements()] == [row["config"] for row in answered]


def test_without_training_the_equations_are_asked_all_the_same(tmp_path, capsys):
    assert main(["reproduce", "--only", "c11", "c12", "--no-train", "--out", str(tmp_path)]) == 0
    assert "not yet run" in capsys.readouterr().out
    with Ledger.open(tmp_path / "ledger.sqlite", readonly=True) as ledger:
        assert [m.config["probe"] for m in ledger.measurements()] == ["parameters"]
        assert ledger.select() == []


def test_another_run_gives_another_document(answers, few_figures, tmp_path):
    pages = []
    for change in (None, {"mean_last_1000": 0.123}):
        with Ledger.open(tmp_path / f"{bool(change)}.sqlite") as ledger:
            fill(ledger, answers, change)
            pages.append(build_report(ledger, tmp_path / str(bool(change)), preset="quick").read_text())
    assert pages[0] != pages[1]
    assert "0.12" in pages[1]


def test_foreign_folders_are_refused(tmp_path):
    with pytest.raises(LedgerError, match="holds no SHA256SUMS"), opened_results(tmp_path):
        pass
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("")
    with Ledger.open(tmp_path / "l.sqlite") as ledger, pytest.raises(OutputError, match="no report of ours"):
        publish(ledger, preset("quick"), "[]", tmp_path / "mine")


def test_only_asks_for_what_a_claim_needs(tmp_path, capsys):
    assert main(["reproduce", "--only", "c11", "--out", str(tmp_path)]) == 0
    assert "holds under conditions" in capsys.readouterr().out
    with Ledger.open(tmp_path / "ledger.sqlite", readonly=True) as ledger:
        assert [m.config["probe"] for m in ledger.measurements()] == ["parameters"]
        assert ledger.select() == []
    (row,) = json.loads((tmp_path / "only" / "claims.json").read_text())
    assert (row["id"], row["command"]) == ("c11", "memspan reproduce --only c11")


def test_every_id_is_listed(tmp_path, capsys):
    assert main(["reproduce", "--list", "--out", str(tmp_path)]) == 0
    listed = capsys.readouterr().out
    for id in ("fig1a", "c01", "c38"):
        assert f"\n{id} " in f"\n{listed}"
    assert "memspan reproduce --only c38" in listed


def test_an_id_that_is_none_is_refused(tmp_path, capsys):
    assert main(["reproduce", "--only", "c99", "--out", str(tmp_path)]) == 2
    assert "unknown figure, table or claim 'c99'" in capsys.readouterr().err


def test_the_shipped_report_is_its_rebuild(tmp_path, capsys):
    results, shipped = ROOT / "results", ROOT / "docs" / "report"
    if not (results / SUMS).exists():
        pytest.skip("results/ holds no published results yet; scripts/publish writes them")
    assert main(["reproduce", "--from", str(results), "--out", str(tmp_path / "out")]) == 0
    for name in ("report.html", "report.pdf", VERDICTS):
        assert (tmp_path / "out" / name).read_bytes() == (shipped / name).read_bytes(), name
    ours = ROOT / "src" / "memspan" / "report" / "shipped.json"
    assert ours.read_bytes() == (results / VERDICTS).read_bytes()
