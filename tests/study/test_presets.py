import subprocess
import sys

import pytest

from memspan.errors import UnknownNameError
from memspan.study import EXPERIMENTS, PRESETS, preset
from memspan.sweep.cost import operations


def test_report_is_the_first_seed_of_full():
    report, full = preset("report"), preset("full")
    assert len(report.runs) == 24
    assert len(EXPERIMENTS["palindromes"].runs) == 240
    assert [run.id for run in report.runs] == [run.id for run in full.runs[:24]]


def test_every_preset_holds_each_run_once():
    for p in PRESETS.values():
        assert len({run.id for run in p.runs}) == len(p.runs)
        assert p.serving("fig1a")
        assert set(p.serving("fig1a")) <= set(p.runs)
        assert p.serving("c99") == ()


def test_the_report_is_run_as_it_was():
    for run in preset("report").runs:
        recipe = run.recipe
        assert (recipe.hidden, recipe.batch, recipe.steps, recipe.optimizer) == (128, 128, 5000, "rmsprop")
        assert (recipe.learning_rate, recipe.clip, recipe.init, recipe.bias) == (
            1e-3,
            10,
            "xavier_normal",
            "zero",
        )
        assert (recipe.coding, recipe.repeat) == ("scalar", 1)


def test_quick_is_quick():
    """At most a minute at 150 GFLOP/s on each of two cores."""
    runs = preset("quick").runs
    steps = sum(run.recipe.steps for run in runs)
    assert sum(map(operations, runs)) / 300e9 + steps * 0.4e-3 / 2 < 60


def test_an_unknown_preset_names_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'quick'"):
        preset("quikc")


def test_plans_cost_no_torch():
    code = "import sys, memspan.study; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
