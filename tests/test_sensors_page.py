"""docs/sensors.md keeps what it says over seeds, not for one only."""

from pathlib import Path

import pytest
import torch

from test_readme import SNIPPET

PAGE = Path(__file__).parents[1] / "docs" / "sensors.md"


@pytest.mark.slow
def test_the_phased_lstm_learns_in_every_seed_and_the_lstm_in_most(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict = {"__name__": "page"}
    for code in SNIPPET.findall(PAGE.read_text(encoding="utf-8")):
        exec(compile(code, str(PAGE), "exec"), names)
    learned = {}
    for make in ("Phased", "Plain"):
        learned[make] = 0
        for seed in range(5):
            torch.manual_seed(seed)
            learned[make] += names["accuracy"](names["train"](names[make]())) > 0.95
    assert learned["Phased"] == 5
    assert learned["Plain"] >= 3
