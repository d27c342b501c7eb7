"""The TensorBoard example of docs/sweeps.md, with a board that only takes notes."""

import re
import sys
import types
from pathlib import Path

import numpy as np

from memspan.ledger import Ledger

PAGE = Path(__file__).parents[2] / "docs/sweeps.md"


class Notes:
    """Stands in for TensorBoard's writer, which need not be installed."""

    def __init__(self, folder):
        self.scalars = {}

    def add_scalar(self, tag, value, step):
        self.scalars.setdefault(tag, []).append((step, float(value)))


def test_every_curve_reaches_the_board(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    board = types.ModuleType("torch.utils.tensorboard")
    board.SummaryWriter = Notes
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", board)
    (code,) = re.findall(r"^```py\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.S | re.M)
    names = {"__name__": "example"}
    exec(compile(code, str(PAGE), "exec"), names)
    with Ledger.open("runs.ledger", readonly=True) as ledger:
        records = ledger.select(status="finished")
        assert len(records) == 2
        for record in records:
            for name in record.curve_names():
                steps, values = zip(*names["board"].scalars[f"{name}/{record.id}"], strict=True)
                curve = record.curve(name)
                assert list(steps) == curve.step.tolist()
                assert np.array_equal(np.float32(values), curve.mean, equal_nan=True)
