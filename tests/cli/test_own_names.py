"""A cell of one's own, typed on the command line: trained, stored, and read again where it is named again."""

import json

import pytest

from memspan.cli import main
from memspan.config import RunConfig
from memspan.ledger import Ledger

LAYER, CELL = "own_layers:Leaky", "own_cells_of_a_test:Mine"
SIZES = {
    "--hidden": 8,
    "--batch": 8,
    "--steps": 4,
    "--evaluate-every": 4,
    "--evaluation-size": 8,
    "--final-size": 8,
}
SMALL = [word for flag in SIZES.items() for word in flag]
CODE = "from memspan.cells.rnn.equations import RNN\n\n\nclass Mine(RNN):\n    name = 'mine'\n"


@pytest.fixture
def memspan(capsys, tmp_path, monkeypatch):
    (tmp_path / "own_cells_of_a_test.py").write_text(CODE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("memspan.cli.text_model._note", lambda: tmp_path / "last-text-model")

    def call(*words, code=0):
        got = main([str(word) for word in words])
        said = capsys.readouterr()
        assert got == code, said.out + said.err
        return said.err if code else said.out

    return call


def test_a_layer_is_trained_in_workers_and_its_run_is_moved_to_another_ledger(memspan, tmp_path):
    memspan("sweep", "--cell", LAYER, "--length", 4, "--seeds", 0, "--workers", 1, *SMALL)
    with Ledger.open(tmp_path / "out" / "ledger.sqlite", readonly=True) as ledger:
        [record] = ledger.select(cell=LAYER)
    assert record.status == "finished"
    assert RunConfig.from_flat(record.config).id == record.id
    assert LAYER in memspan("runs", "list", "--json")
    memspan("runs", "export", "runs.parquet")
    assert LAYER in memspan("runs", "import", "runs.parquet", "--out", "other", code=2)
    assert "1 runs added" in memspan("runs", "import", "runs.parquet", "--out", "other", "--trust", LAYER)
    assert "--trust" in memspan("probe", "gates", record.id, code=2)
    assert "whose steps cannot be looked into" in memspan(
        "probe", "gates", record.id, "--trust", LAYER, code=2
    )


def test_a_cell_is_trained_on_text_and_its_model_is_read_where_it_is_named(memspan):
    small = [*SMALL, "--window", 10, "--validation", 0.2, "--dropout", 0]
    memspan("text", "train", "--cell", CELL, *small, "--kernel", "reference", "--out", "model")
    assert "--trust" in memspan("text", "evaluate", "--model", "model", code=2)
    told = json.loads(memspan("text", "evaluate", "--model", "model", "--trust", CELL, "--json"))
    assert told["characters"] > 100
    assert "--trust" in memspan("text", "evaluate", code=2)  # the last one trained
