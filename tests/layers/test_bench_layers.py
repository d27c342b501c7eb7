"""``memspan bench layers``: equal before timed, a row for every peer."""

import json

import pytest

from memspan.bench import layers
from memspan.cli import main

SMALL = ["bench", "layers", *("--length", "12", "--batch", "4", "--inputs", "3", "--hidden", "8")]
SMALL += ["--threads", "1", "--quick", "--busy"]


def test_rows(capsys):
    assert main([*SMALL, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["cell"], row["peer"]) for row in rows] == [
        (cell, peer)
        for cell in ("lstm", "gru")
        for peer in ("torch.nn", "torch.nn packed", "torch.nn padded")
    ]
    assert all(row["equal"] and row["ratio"] > 0 for row in rows)


def test_a_layer_that_differs_is_not_timed(capsys, monkeypatch):
    monkeypatch.setattr(layers, "_worst", lambda mine, theirs: 0.5)
    assert main([*SMALL, "--cell", "gru", "--ragged", "no"]) == 1
    assert "not timed: differs from torch.nn by 5.0e-01" in capsys.readouterr().out


@pytest.mark.parametrize(("words", "said"), [(["--cell", "lsmt"], "did you mean 'lstm'")])
def test_wrong_input(words, said, capsys):
    assert main(["bench", "layers", *words]) == 2
    assert said in capsys.readouterr().err
