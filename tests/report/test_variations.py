"""Claims about what was varied: each rule on made-up runs that decide it, and the figures drawn from them."""

import pytest

from memspan.ledger import RunRecord
from memspan.report.claims import CLAIMS, Word
from memspan.report.figures import FIGURES
from memspan.report.tokens import recipe_tokens
from memspan.study import EXPERIMENTS
from memspan.study.variations import CHANCES, LEARNERS, PAIRS, SHORT, VARIATIONS


def records(experiment, numbers, status=lambda run: "finished", seeds=range(5)):
    """The runs of an experiment with numbers made up from each run."""
    made = []
    for run in EXPERIMENTS[experiment].runs:
        if run.seed in seeds:
            facts = {"kernel": "made up"}
            metrics = numbers(run)
            page = (run.id, run.flat(), status(run), "", run.recipe.steps, metrics, facts, 1.0, False, None)
            made.append(RunRecord(*page))
    return made


def last(value):
    return lambda run: {"mean_last_1000": value(run)}


def dips(value):
    return lambda run: {"dips": value(run), "dip_watched_steps": 1000.0}


def reached(value):
    return lambda run: {} if value(run) is None else {"reached_step": value(run)}


def test_c06_asks_zero_and_unit_forget_bias():
    plain = records("palindromes", dips(lambda run: 3.0 if run.recipe.cell == "rnn" else 1.0))
    assert CLAIMS["c06"].verdict(plain).word is Word.HOLDS
    calm = plain + records("dips", dips(lambda run: 0.0))
    verdict = CLAIMS["c06"].verdict(calm)
    assert {j.case for j in verdict.judgements} == {
        f"T = {length}{words}" for length in SHORT for words in ("", ", forget bias 1")
    }
    worse = plain + records("dips", dips(lambda run: 5.0))
    assert CLAIMS["c06"].verdict(worse).word is Word.FAILS


def test_c07_blames_rmsprop_only_if_every_other_rule_is_calmer():
    def blamed(run):
        return 4.0 if run.recipe.optimizer == "rmsprop" else 1.0

    unclipped = lambda run: blamed(run) + (run.recipe.clip == 0)  # noqa: E731
    assert CLAIMS["c07"].verdict(records("updates", dips(unclipped))).word is Word.HOLDS
    verdict = CLAIMS["c07"].verdict(records("updates", dips(lambda run: 1.0)))
    assert verdict.word is Word.FAILS
    assert len(verdict.judgements) == 3 * sum(len(lengths) for _, lengths in LEARNERS.values())


def test_c07_counts_divergence_as_worse_and_passes_over_what_never_reached():
    sgd = lambda run: {} if run.recipe.optimizer == "sgd" else dips(lambda run: 1.0)(run)  # noqa: E731
    without = lambda run: "stopped" if run.recipe.clip == 0 else "finished"  # noqa: E731
    verdict = CLAIMS["c07"].verdict(records("updates", sgd, without))
    found = {j.case: j.finding for j in verdict.judgements}
    assert found["RNN T = 10 without clipping"] == "true"
    assert found["RNN T = 10 beside Adam"] == "false"
    assert "RNN T = 10 beside SGD" not in found


def test_c13_fails_as_soon_as_one_change_memorises():
    both = lambda value: records("palindromes", last(value)) + records("chances", last(value))  # noqa: E731
    verdict = CLAIMS["c13"].verdict(both(lambda run: 0.2))
    assert verdict.word is Word.HOLDS
    assert len(verdict.judgements) == 2 + sum(len(lengths) for _, lengths in CHANCES.values())
    chrono = lambda run: 0.95 if run.recipe.bias == "chrono" else 0.2  # noqa: E731
    assert CLAIMS["c13"].verdict(both(chrono)).word is Word.FAILS
    assert CLAIMS["c13"].verdict(records("palindromes", last(lambda run: 0.2))).word is Word.NOT_RUN


@pytest.mark.parametrize(
    ("by_rate", "word"),
    [
        ({1e-4: 0.2, 1e-3: 0.2, 1e-2: 0.95}, Word.HOLDS),
        ({1e-4: 0.2, 1e-3: 0.2, 1e-2: 0.2}, Word.FAILS),
        ({1e-4: 0.2, 1e-3: 0.5, 1e-2: 0.95}, Word.FAILS),
    ],
)
def test_c14_asks_a_tenth_and_ten_times_the_rate(by_rate, word):
    runs = records("rates", last(lambda run: by_rate[run.recipe.learning_rate]))
    assert CLAIMS["c14"].verdict(runs).word is word


def test_c16_wants_the_advantage_gone_at_equal_parameters():
    def verdict(steps):
        numbers = reached(lambda run: steps[run.recipe.cell, run.recipe.hidden])
        runs = records("palindromes", numbers) + records("matched_pairs", numbers)
        return CLAIMS["c16"].verdict(list({run.id: run for run in runs}.values()))

    equal = {("rnn", 128): 500.0, ("lstm", 128): 900.0}
    gone = verdict(equal | {("rnn", 255): 950.0, ("lstm", 65): 450.0})
    assert gone.word is Word.HOLDS
    assert len(gone.judgements) == len(SHORT) * (1 + len(PAIRS))
    assert verdict(equal | {("rnn", 255): 600.0, ("lstm", 65): 950.0}).word is Word.FAILS
    wide = records("palindromes", reached(lambda run: equal[run.recipe.cell, 128]))
    assert CLAIMS["c16"].verdict(wide).word is Word.NOT_RUN


def test_c16_counts_a_run_that_never_reaches_as_latest():
    only_rnn = reached(lambda run: 500.0 if run.recipe.cell == "rnn" else None)
    judgement = CLAIMS["c16"].verdict(records("palindromes", only_rnn)).judgements[0]
    assert (judgement.finding, judgement.measure) == ("true", None)


def test_c32_counts_the_seeds_whose_pair_tells_the_story_of_the_mean():
    def mostly_lstm(run):
        ahead = "rnn" if run.seed == 0 else "lstm"
        return 0.9 if run.recipe.cell == ahead else 0.3

    verdict = CLAIMS["c32"].verdict(records("palindromes", last(mostly_lstm), seeds=range(10)))
    assert verdict.word is Word.HOLDS
    assert verdict.value == 0.9
    tossed = last(lambda run: 0.9 if (run.recipe.cell == "rnn") == (run.seed % 2 == 0) else 0.3)
    assert CLAIMS["c32"].verdict(records("palindromes", tossed, seeds=range(10))).word is Word.FAILS


def test_c33_is_true_where_repetition_moves_the_end_by_a_tenth():
    moved = records("repetition", last(lambda run: 0.9 if run.recipe.repeat == 1 else 0.7))
    assert CLAIMS["c33"].verdict(moved).word is Word.HOLDS
    same = records("repetition", last(lambda run: 0.9))
    assert CLAIMS["c33"].verdict(same).word is Word.FAILS
    long = last(lambda run: 0.9 if run.recipe.repeat == 1 or run.task.length <= 15 else 0.7)
    assert CLAIMS["c33"].verdict(records("repetition", long)).word is Word.CONDITIONS


def test_a_run_that_diverged_at_once_is_left_out():
    first = lambda run: {} if run.seed == 0 else {"mean_last_1000": 0.2}  # noqa: E731
    for id, experiment in (("c14", "rates"), ("c33", "repetition")):
        verdict = CLAIMS[id].verdict(records(experiment, first, seeds=range(6)))
        assert {j.share.n for j in verdict.judgements} == {4}


def test_variations_change_one_thing_and_share_runs_with_the_study():
    study = {run.id for run in EXPERIMENTS["palindromes"].runs}
    for experiment in VARIATIONS:
        assert len({run.id for run in experiment.runs}) == len(experiment.runs)
        assert {run.recipe.batch for run in experiment.runs} == {128}
    assert study & {run.id for run in EXPERIMENTS["repetition"].runs}
    assert not study & {run.id for run in EXPERIMENTS["dips"].runs}


def test_the_prose_counts_runs_that_a_recipe_solves():
    solved = lambda run: {"solved": float(run.task.length <= 100)}  # noqa: E731
    found = recipe_tokens(records("recipes", solved, seeds=range(10)))
    assert found["recipe_lstm_100"] == "10 of 10 runs within 1,500 updates"
    assert found["recipe_rnn_200"] == "0 of 10 runs within 3,000 updates"
    assert set(recipe_tokens([]).values()) == {None}


@pytest.mark.parametrize(
    ("id", "experiment"),
    [("fig-initialisations", "initialisations"), ("fig-updates", "updates"), ("fig-recipes", "recipes")],
)
def test_the_figures_have_a_row_for_everything_that_was_run(id, experiment):
    runs = records(experiment, lambda run: {"solved": 1.0, **dips(lambda run: 2.0)(run)})
    axes = FIGURES[id].draw(runs).axes[0]
    groups = {(run.config["length"], run.config["cell"], *map(str, _changed(run))) for run in runs}
    assert len(axes.get_yticks()) == len(groups)


def _changed(run):
    names = ("init", "bias", "coding", "chrono_longest", "nonlinearity", "optimizer", "lr_decay", "clip")
    return [run.config[name] for name in names]
