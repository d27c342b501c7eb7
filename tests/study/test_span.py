"""Memory span: what is read off answers, what is asked next, and that nothing is trained twice."""

import pytest

from memspan.config import Recipe, RunConfig
from memspan.errors import ArgumentError, UnknownNameError
from memspan.ledger import Ledger
from memspan.ledger.events import Finished, Started
from memspan.study.span import held, span_interval, span_length, told
from memspan.study.span_call import span
from memspan.study.span_search import (
    SpanSearch,
    asked_so_far,
    possible_runs,
    search_span,
    search_spans,
    stored_span,
)

SEARCH = SpanSearch(Recipe(steps=100), shortest=10, longest=320)


def answers(**counts):
    """Length → seed → solved, from how many of how many: T20="3/5"; the first seeds are those that solve."""
    found = {}
    for name, text in counts.items():
        right, n = map(int, text.split("/"))
        found[int(name[1:])] = {seed: seed < right for seed in range(n)}
    return found


class Trainer:
    """Stands where a sweep would: each seed solves up to a length of its own."""

    def __init__(self, ledger, reach):
        self.ledger, self.reach, self.trained = ledger, reach, []

    def __call__(self, runs):
        for run in runs:
            record = self.ledger.get(run.id)
            if record is not None and record.done:
                continue
            self.trained.append((run.task.length, run.seed))
            solved = run.task.length <= self.reach(run.seed)
            metrics = {"solved": float(solved)} | ({"reached_step": 50.0, "kept": 1.0} if solved else {})
            self.ledger.register([run])
            self.ledger.append(Started(run.id, 0))
            self.ledger.append(
                Finished(run.id, run.recipe.steps, state=b"state", metrics=metrics, wall_seconds=2.0)
            )


@pytest.fixture
def ledger(tmp_path):
    with Ledger.open(tmp_path / "ledger.sqlite") as opened:
        yield opened


def test_a_seed_holds_a_length_only_with_all_shorter_ones():
    solved = {10: {0: False, 1: True}, 20: {0: True, 1: True}}
    assert held(solved, 10) == held(solved, 20) == [False, True]
    assert span_length(solved, 0.5) == 20
    assert span_length(solved, 0.9) == 0


def test_seeds_added_at_one_length_only_count_there():
    solved = answers(T10="5/5", T20="8/10")
    assert held(solved, 20).count(True) == 8
    assert (span_length(solved, 0.5), span_length(solved, 0.9)) == (20, 10)


def test_a_span_stops_at_the_first_length_too_few_hold():
    solved = answers(T10="5/5", T20="1/5")
    solved[40] = dict.fromkeys(range(5), True)
    assert span_length(solved, 0.5) == 10


def test_the_interval_knows_the_seeds():
    solved = answers(T10="10/10", T20="7/10", T40="4/10", T80="0/10")
    got = span_interval(solved, 0.5)
    assert (got.value, got.n) == (20, 10)
    assert got.low in (10, 20)
    assert got.high == 40
    assert span_interval(answers(T10="1/1"), 0.5).low is None


def test_five_seeds_that_agree_decide_and_others_get_more():
    assert SEARCH.next({}) == (10, (0, 1, 2, 3, 4))
    assert SEARCH.next(answers(T10="5/5")) == (20, (0, 1, 2, 3, 4))
    assert SEARCH.next(answers(T10="5/5", T20="4/5")) == (20, (5, 6, 7, 8, 9))
    assert SEARCH.next(answers(T10="5/5", T20="0/5")) == (14, (0, 1, 2, 3, 4))
    assert SEARCH.next(answers(T10="0/5")) is None


def test_with_no_seeds_left_the_share_decides():
    assert SEARCH.finding(answers(T10="5/10"), 10) is True
    assert SEARCH.finding(answers(T10="4/10"), 10) is False


def test_lengths_rise_geometrically_and_end_at_the_longest():
    assert SEARCH.grid() == [10, 20, 40, 80, 160, 320]
    assert SpanSearch(task="associative_recall").grid() == [1, 2, 4, 8, 16, 26]
    assert SpanSearch(shortest=7, longest=7).grid() == [7]


def test_the_search_closes_in_on_the_span_and_spends_seeds_where_it_decides(ledger):
    trainer = Trainer(ledger, reach=lambda seed: 95 + 4 * seed)
    got = search_span(SEARCH, ledger, trainer)
    assert 100 < got.span50.value <= 115
    assert got.span50.low <= got.span50.value <= got.span50.high
    asked = {row.length: row.solved.n for row in got.rows}
    assert asked[10] == asked[20] == asked[40] == asked[80] == 5
    assert max(asked.values()) == 10
    assert len(trainer.trained) == len(got.runs) == sum(asked.values())
    assert got.seconds == 2.0 * len(got.runs)
    assert got.rows[0].reached_step == 50
    assert got.rows[-1].reached_step is None


def test_a_search_goes_on_from_the_ledger(ledger):
    first = Trainer(ledger, reach=lambda seed: 100)
    wanted = search_span(SEARCH, ledger, first)
    again = Trainer(ledger, reach=lambda seed: 0)
    assert search_span(SEARCH, ledger, again) == wanted == stored_span(SEARCH, ledger)
    assert again.trained == []
    assert stored_span(SpanSearch(Recipe(steps=200)), ledger) is None


def test_several_searches_share_their_sweeps(ledger):
    searches = [SpanSearch(Recipe(steps=n), shortest=10, longest=320) for n in (100, 200)]
    trainer = Trainer(ledger, reach=lambda seed: 95 + 4 * seed)
    sweeps = []

    def train(runs):
        sweeps.append({run.recipe.steps for run in runs})
        trainer(runs)

    together = search_spans(searches, ledger, train)
    assert sweeps == [{100, 200}] * len(sweeps)
    assert together == [stored_span(search, ledger) for search in searches]
    assert search_spans([], ledger, train) == []


def test_what_was_asked_so_far_is_known_of_a_search_that_was_stopped(ledger):
    def stopped(runs):
        if runs[0].task.length > 20:
            raise KeyboardInterrupt
        Trainer(ledger, reach=lambda seed: 100)(runs)

    with pytest.raises(KeyboardInterrupt):
        search_span(SEARCH, ledger, stopped)
    asked = {SEARCH.run(length, seed).id for length in (10, 20, 40) for seed in range(5)}
    assert asked_so_far(SEARCH, ledger) == asked
    assert {record.id for record in ledger.select()} < asked


def test_a_span_past_the_longest_says_at_least(ledger):
    got = search_span(SEARCH, ledger, Trainer(ledger, reach=lambda seed: 10**6))
    assert got.span50.value == got.longest == 320


def test_a_course_is_known_beforehand_if_seeds_agree():
    courses = possible_runs(SEARCH)
    assert min(map(len, courses)) == 5
    assert max(map(len, courses)) == 45
    assert all(isinstance(run, RunConfig) for run in courses[0])


def test_told_says_what_a_recipe_knew():
    assert told(Recipe()) == "nothing"
    assert told(Recipe(bias="forget_one")) == "nothing"
    assert told(Recipe(bias="chrono")) == "T"
    assert told(Recipe(bias="chrono", time_input="first")) == "T and cue"
    assert told(Recipe(cell="rnn", recurrent_scale=2.0)) == "cue"
    aimed = {"cell": "phased_lstm", "clock_shift": "first_event"}
    assert told(Recipe(**aimed)) == "cue"
    assert told(Recipe(**aimed, time_origin="random")) == "nothing"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"task": "sines"}, "no axis of difficulty"),
        ({"task": "palindrom"}, "did you mean 'palindrome'"),
        ({"shortest": 20, "longest": 10}, "shortest ≤ longest"),
        ({"shortest": 1}, "at least 2"),
        ({"seeds": ()}, "at least one"),
        ({"seeds": (1, 1)}, "each once"),
        ({"share": 1.0}, "share 1"),
        ({"resolution": 1.0}, "resolution 1"),
        ({"recipe": Recipe(bias="chrono"), "shortest": 2}, "chrono"),
    ],
)
def test_questions_that_cannot_be_meant_are_refused(fields, words):
    with pytest.raises(ArgumentError, match=words):
        SpanSearch(**fields)


def test_an_unknown_knob_names_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'steps'"):
        span("lstm", step=100)
