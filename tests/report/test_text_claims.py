"""Claims, tables and figures about text, on made-up answers of probes whose truth is known."""

import dataclasses

import numpy as np
import pytest
from made_up import MadeUpCurve

from memspan.ledger import Measurement, RunRecord
from memspan.report.claims import CLAIMS, Word
from memspan.report.figures import FIGURES
from memspan.report.records import joined
from memspan.report.tables import TABLES
from memspan.study.text import text, text_larger, text_marks, text_without_dropout

SEEDS = range(5)
EXPERIMENTS = {
    e.id: e for e in (text(SEEDS), text_marks(SEEDS), text_without_dropout(SEEDS), text_larger(SEEDS))
}
SAMPLED_AT = [0.25, 1.0, 2.0]


def written(run):
    """What a model writes and foretells if the report is right in everything."""
    T, steps, small = run.recipe.temperature, run.recipe.steps, run.task.corpus == "bill_of_rights"
    return {
        "dictionary_share": 0.5 if steps <= 100 else 0.97 if steps < 2000 else 1.0,
        "loops": 0.0,
        "long_loops": 0.0,
        "identical": 0.01,
        "newlines": 4.0 if T == 2 else 3.0,
        "newlines_inside": 0.0,
        "overlap": 100,
        "stream_accuracy": 0.99,
        "raw_logit_std": 4.0,
        "logit_std": 4.0 / T,
        "starts": ["C", "E", "T", "x"],
        "samples": [f"{T} after step {steps}\n"] * 4,
        "completions": dict.fromkeys(("No person", "The right"), "the same." if small else f"{T}."),
    }


def sampled(run):
    """Samples that grow more varied and poorer with the temperature of sampling alone."""
    return {
        "sampled_at": SAMPLED_AT,
        "sampled_dictionary_share": [1.0, 0.9, 0.4],
        "sampled_distinct_2": [0.1, 0.3, 0.8],
        "sampled_bits": [0.1, 0.5, 3.0],
    }


def without_units(run):
    """What is left of a model without k units: more where it was trained with dropout."""
    left = [1 - k / (512 if run.recipe.dropout else 256) for k in (1, 8, 32)]
    return {
        "deleted": [1, 8, 32],
        "accuracy_whole": 1.0,
        "accuracy_without_1": left,
        "accuracy_without_2": left,
    }


PROBES = {"text": written, "text_sampling": sampled, "text_units": without_units}


def record(run):
    line = np.full(run.recipe.steps, 0.5)
    metrics = {"mean_all": 0.9 - 0.1 * run.recipe.temperature}
    return RunRecord(
        run.id, run.flat(), "finished", "", len(line), metrics, {}, 1.0, False, MadeUpCurve(line)
    )


def study(claim, lie=None, seeds=SEEDS):
    """Return a claim's runs and the answers of their probes, some of them changed by ``lie(run, values)``."""
    runs = {run.id: run for name in CLAIMS[claim].experiments for run in EXPERIMENTS[name].runs}
    runs = [run for run in runs.values() if run.seed in seeds]
    answers = []
    for run in runs:
        for probe, answer in PROBES.items():
            values = answer(run)
            if lie:
                lie(run, values)
            answers.append(Measurement({"probe": probe, "run": run.id, "version": 1}, values, {}))
    return [record(run) for run in runs], answers


PARTS = ("c24", "c25", "c27", "c28", "c29", "c30", "c31", "c37")


@pytest.mark.parametrize("claim", PARTS)
def test_every_claim_holds_where_the_report_is_right(claim):
    verdict = CLAIMS[claim].verdict(*study(claim))
    assert verdict.word is Word.HOLDS, verdict.detail
    assert len(verdict.judgements) == len(CLAIMS[claim].parts)
    assert (verdict.n, verdict.value) == (5, 1.0)


@pytest.mark.parametrize("claim", PARTS)
def test_four_seeds_decide_nothing(claim):
    verdict = CLAIMS[claim].verdict(*study(claim, seeds=range(4)))
    assert verdict.word is Word.NOT_RUN
    assert CLAIMS[claim].verdict([], ()).word is Word.NOT_RUN


def of_model(T, **changes):
    def lie(run, values):
        if run.recipe.temperature == T:
            values.update({name: value for name, value in changes.items() if name in values})

    return lie


def at_step(steps, **changes):
    def lie(run, values):
        if run.recipe.steps == steps:
            values.update({name: value for name, value in changes.items() if name in values})

    return lie


def on_the_larger(run, values):
    if "completions" in values:
        values["completions"] = dict.fromkeys(values["completions"], "the same.")


def undone(run, values):
    if "raw_logit_std" in values:
        values["raw_logit_std"] = 4.0 * run.recipe.temperature


def sampled_apart(run, values):
    if "sampled_at" in values:
        values["sampled_dictionary_share"] = [0.9, 1 - 0.45 * run.recipe.temperature, 0.4]


def by_seed(run, values):
    if "samples" in values:
        values["samples"] = [f"{run.seed}"] * 4


def without_redundancy(run, values):
    if "accuracy_without_2" in values:
        values["accuracy_without_2"] = [1.0, 1.0, 0.5]


@pytest.mark.parametrize(
    ("claim", "part", "lie"),
    [
        ("c24", "better at step 500 than at 100", at_step(100, dictionary_share=0.99)),
        ("c24", "good at step 500", at_step(500, dictionary_share=0.94)),
        ("c24", "free of errors at step 2000", at_step(2000, dictionary_share=0.98)),
        ("c25", "no loop in 30 characters", at_step(2000, loops=0.1)),
        ("c25", "no loop in 400 characters", at_step(2000, long_loops=0.1)),
        ("c25", "varied", at_step(2000, identical=0.2)),
        ("c27", "not undone", undone),
        ("c28", "other samples", by_seed),
        ("c28", "not worse", of_model(2.0, dictionary_share=0.9)),
        ("c28", "D overuses newlines", of_model(0.5, newlines=5.0)),
        ("c28", "never inside a word", of_model(2.0, newlines_inside=0.1)),
        ("c29", "completions agree", lambda run, values: of_model(run.recipe.temperature, completions={
            "No person": str(run.recipe.temperature)})(run, values)),
        ("c30", "fewer modes at 0.25 than at 1", of_model(1.0, sampled_distinct_2=[0.5, 0.3, 0.8])),
        ("c30", "more varied at 2 than at 1", of_model(1.0, sampled_distinct_2=[0.1, 0.3, 0.2])),
        ("c30", "poor at 2", of_model(1.0, sampled_dictionary_share=[1.0, 0.9, 0.88])),
        ("c30", "matters more than in training", sampled_apart),
        ("c31", "foretells the corpus", of_model(1.0, stream_accuracy=0.9)),
        ("c31", "quotes it", of_model(1.0, overlap=20)),
        ("c31", "temperature matters more on a larger corpus", on_the_larger),
        ("c37", "layer 2, 8 units", without_redundancy),
    ],
)  # fmt: skip
def test_a_part_that_is_false_fails_its_claim(claim, part, lie):
    verdict = CLAIMS[claim].verdict(*study(claim, lie))
    assert verdict.word is Word.FAILS
    assert part in verdict.detail.split("False at ")[1]


def test_learning_that_does_not_differ_fails():
    runs, answers = study("c28")
    same = [dataclasses.replace(r, metrics={"mean_all": 0.5 + 0.01 * r.config["seed"]}) for r in runs]
    assert "learning differs" in CLAIMS["c28"].verdict(same, answers).detail.split("False at ")[1]


@pytest.mark.parametrize(("claim", "probe"), [("c26", "temperature"), ("c36", "log_softmax")])
def test_identities_are_what_their_probes_measure(claim, probe):
    from memspan.probes import Probe

    page = Probe(probe, cases=200)
    measured = Measurement(page.flat(), page.answer(), {})
    verdict = CLAIMS[claim].verdict([], [measured])
    assert verdict.word is Word.HOLDS, verdict.detail
    assert "{" not in verdict.detail


def shown(probe, *experiments):
    runs = {run.id: run for name in experiments for run in EXPERIMENTS[name].runs}
    answers = [Measurement({"probe": probe, "run": run.id}, PROBES[probe](run), {}) for run in runs.values()]
    return joined([record(run) for run in runs.values()], answers, probe)


def test_tables_1_to_4():
    one = TABLES["tab1"].rows([record(run) for run in EXPERIMENTS["text"].runs])
    temperatures = next(row for row in one if row["Setting"] == "Temperature")
    assert [temperatures[f"Model {name}"] for name in "ABCD"] == ["0.5", "1", "1.5", "2"]
    two = TABLES["tab2"].rows(shown("text", "text", "text_marks"))
    assert [row["Step"] for row in two] == [1, 100, 200, 300, 400, 500, 1000, 1500, 2000]
    assert two[-1]["Model B, temperature 1"][1:] == "1.0 after step 2000\n"
    assert two[3]["Model A, temperature 0.5"][1:] == "0.5 after step 300\n"
    three = TABLES["tab3"].rows(shown("text", "text"))
    assert [row["Model"] + row["Seed"] for row in three] == [m + s for m in "ABCD" for s in "ETC"]
    four = TABLES["tab4"].rows(shown("text", "text"))
    assert len(four) == 8
    assert four[0]["Characters"] == len("the same.")


@pytest.mark.parametrize(
    ("id", "probe", "experiments"),
    [
        ("fig-text-learning", "text", ("text", "text_marks")),
        ("fig-text-scale", "text", ("text",)),
        ("fig-text-sampling", "text_sampling", ("text",)),
    ],
)
def test_figures_show_every_model(id, probe, experiments):
    figure = FIGURES[id].draw(shown(probe, *experiments))
    assert all(axes.lines for axes in figure.axes)
