"""Done runs as CSV: one line each, columns of every field, whole or not at all."""

import csv

import pytest
from ledger_stories import page, story, train

from memspan.errors import LedgerError
from memspan.ledger.csv import export_csv


def test_done_runs_one_a_line(ledger, tmp_path):
    train(ledger, page(seed=0))
    train(ledger, page(seed=1, task="sum, with a comma"), diverge=True)
    ledger.register([page(seed=2)])
    assert export_csv(ledger, tmp_path / "runs.csv") == 2
    with (tmp_path / "runs.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["seed"]: row for row in csv.DictReader(file)}
    assert rows["0"]["id"] == page(seed=0).id
    assert float(rows["0"]["final_accuracy"]) == 0.1 + 0.2
    assert (rows["1"]["status"], rows["1"]["reason"]) == ("stopped", "diverged: loss nan")
    assert rows["1"]["task"] == "sum, with a comma"
    assert rows["0"]["kernel"] == "reference"


def test_no_runs_give_a_heading(ledger, tmp_path):
    assert export_csv(ledger, tmp_path / "runs.csv") == 0
    assert (tmp_path / "runs.csv").read_text() == "id\n"


def test_a_place_that_cannot_be_written_is_named(ledger, tmp_path):
    for event in story(page().id):
        ledger.register([page()])
        ledger.append(event)
    with pytest.raises(LedgerError, match="cannot be written"):
        export_csv(ledger, tmp_path / "missing" / "runs.csv")
