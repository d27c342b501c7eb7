"""Budgets that spans are compared at, and that every cell can be asked on every task with an axis."""

import pytest

from memspan.cells import CELLS
from memspan.config import Recipe
from memspan.study import span_budget
from memspan.study.span_budget import matched, parameters
from memspan.study.span_search import SpanSearch
from memspan.tasks import TASKS

LSTM, RNN = (SpanSearch(Recipe(cell=cell), longest=40) for cell in ("lstm", "rnn"))


def test_equal_steps_change_nothing():
    assert matched(RNN, LSTM, "steps") is RNN


def test_equal_parameters_choose_the_nearest_width():
    assert matched(RNN, LSTM, "parameters").recipe.hidden == 255
    assert matched(LSTM, RNN, "parameters").recipe.hidden == 65
    assert matched(LSTM, LSTM, "parameters") == LSTM


def test_equal_seconds_choose_the_steps_in_hundreds(monkeypatch):
    cost = {"lstm": 0.012, "rnn": 0.0031}
    monkeypatch.setattr(span_budget, "step_seconds", lambda run: cost[run.recipe.cell])
    assert matched(RNN, LSTM, "wall").recipe.steps == 19_400
    assert matched(LSTM, RNN, "wall").recipe.steps == 1300


def test_seconds_are_measured_on_real_updates():
    run = SpanSearch(Recipe(cell="rnn", hidden=8, batch=8), shortest=4, longest=4).run(4, 0)
    assert span_budget.step_seconds(run) > 0


@pytest.mark.parametrize("task", [name for name in TASKS if TASKS.resolve(name).axis])
@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_can_be_asked_on_every_task_with_an_axis(cell, task):
    search = SpanSearch(Recipe(cell=cell, hidden=8), task)
    length, seeds = search.next({})
    assert parameters(search.run(length, seeds[0])) > 0
