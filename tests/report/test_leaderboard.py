"""The leaderboard's page: every row and task, told and untold apart, a dash where runs are missing."""

import pytest

from memspan.ledger import Ledger
from memspan.ledger.events import Finished, Started
from memspan.report.leaderboard import leaderboard_page, stored_board
from memspan.study.leaderboard import ROWS, TASKS, board_search
from memspan.study.span import told
from memspan.study.span_search import search_span


@pytest.fixture
def ledger(tmp_path):
    with Ledger.open(tmp_path / "ledger.sqlite") as opened:
        yield opened


def made_up(ledger, reach):
    """A trainer that makes every run up to a length solve."""

    def train(runs):
        for run in runs:
            length = getattr(run.task, run.task.axis)
            ledger.register([run])
            ledger.append(Started(run.id, 0))
            numbers = {"solved": float(length <= reach)}
            ledger.append(Finished(run.id, run.recipe.steps, state=b"s", metrics=numbers, wall_seconds=6.0))

    return train


def test_every_place_of_the_board_is_a_question_that_can_be_asked():
    for name in ROWS:
        for task in TASKS:
            search = board_search(name, task)
            assert len(search.next({})[1]) == (10 if task == "palindrome" else 5)


def test_rows_are_ranked_among_those_that_were_told_as_much(ledger):
    search_span(board_search("GRU", "palindrome"), ledger, made_up(ledger, 50))
    search_span(board_search("LSTM", "palindrome"), ledger, made_up(ledger, 1000))
    search_span(board_search("LSTM, chrono for T", "palindrome"), ledger, made_up(ledger, 100))
    page = leaderboard_page(stored_board(ledger), ledger)
    untold, told_length = page.split("## Told nothing")[1].split("## Told the length T")
    assert untold.index("| 1 | LSTM |") < untold.index("| 2 | GRU |") < untold.index("| – | RNN |")
    assert "≥ 192 [192, 192] · 192" in untold
    assert "| 1 | LSTM, chrono for T |" in told_length
    assert "| GRU | 4" in page or "| GRU | 5" in page


def test_every_row_is_there_once_and_costs_are_counted(ledger):
    page = leaderboard_page(stored_board(ledger), ledger)
    assert all(page.count(f"| {name} |") == 1 for name in ROWS)
    assert "| palindromes | 0 | 240 | 0.0e+00 | 0 |" in page
    assert {told(recipe) for recipe in ROWS.values()} == {"nothing", "T", "cue"}
