"""docs/sensors.md keeps what it says over seeds, not for one only."""

from pathlib import Path

import numpy as np
import pytest
import torch

from test_readme import SNIPPET

PAGE = Path(__file__).parents[1] / "docs" / "sensors.md"


@pytest.mark.slow
def test_both_readers_learn_and_neither_is_better_at_the_end(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict = {"__name__": "page"}
    for code in SNIPPET.findall(PAGE.read_text(encoding="utf-8")):
        exec(compile(code, str(PAGE), "exec"), names)
    found = {}
    for make in ("Phased", "Plain"):
        found[make] = []
        for seed in range(5):
            torch.manual_seed(seed)
            found[make].append(names["accuracy"](names["train"](names[make]())))
    assert min(map(min, found.values())) > 0.95, found
    differences = np.subtract(found["Phased"], found["Plain"])
    assert abs(differences.mean()) < 0.03, found
