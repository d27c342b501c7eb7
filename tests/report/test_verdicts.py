import dataclasses
import json

import pytest
from made_up import record, time_gate_measured

from memspan.report.claims import CLAIMS, Word, decide, judge
from memspan.report.claims.claim import at
from memspan.report.numbers import estimate, number, share
from memspan.statistics import wilson


def judged(**truths):
    """One judgement a length from how many of how many seeds: T5="9/10"."""
    judgements = []
    for name, text in truths.items():
        true, n = map(int, text.split("/"))
        judgements.append(judge(at(int(name[1:])), [True] * true + [False] * (n - true)))
    return judgements


def lengths(*T):
    return tuple(map(at, T))


def test_true_at_every_length_holds():
    verdict = decide(judged(T5="5/5", T10="9/10"), lengths(5, 10))
    assert verdict.word is Word.HOLDS
    assert (verdict.value, verdict.n, verdict.weakest) == (1.0, 5, "T = 5")
    assert verdict.low == pytest.approx(0.5655, abs=1e-4)
    assert verdict.seeds_wanted is None


def test_false_at_one_length_fails_even_if_another_is_missing():
    verdict = decide(judged(T5="10/10", T10="5/10", T15="1/10"), lengths(5, 10, 15, 20))
    assert verdict.word is Word.FAILS
    assert (verdict.value, verdict.weakest) == (0.1, "T = 15")
    assert "False at T = 15." in verdict.detail
    assert "No runs at T = 20." in verdict.detail


def test_open_at_a_length_is_a_condition_and_asks_for_seeds():
    verdict = decide(judged(T5="10/10", T10="8/10"), lengths(5, 10))
    assert verdict.word is Word.CONDITIONS
    assert "Open at T = 10" in verdict.detail
    assert verdict.seeds_wanted == 20
    assert decide(judged(T5="4/5"), lengths(5)).seeds_wanted == 10
    assert decide(judged(T5="11/20"), lengths(5)).seeds_wanted is None


@pytest.mark.parametrize("seeds", ["1/1", "0/1", "4/4", "0/4"])
def test_too_few_seeds_decide_nothing(seeds):
    verdict = decide(judged(T5="10/10", T10=seeds), lengths(5, 10))
    assert verdict.word is Word.NOT_RUN
    assert verdict.value is verdict.low is verdict.high is verdict.n is None
    assert verdict.seeds_wanted == 5


def test_a_missing_length_is_not_yet_run():
    assert decide(judged(T5="10/10"), lengths(5, 10)).word is Word.NOT_RUN


def test_a_claim_that_names_no_length_passes_over_thin_ones():
    assert decide(judged(T5="10/10", T10="2/2"), ()).word is Word.HOLDS
    assert decide(judged(T10="2/2"), ()).word is Word.NOT_RUN


def test_what_is_unsettled_is_a_condition():
    assert decide(judged(T75="10/10"), lengths(75), "Only so far.").word is Word.CONDITIONS
    assert decide(judged(T75="0/10"), lengths(75), "Only so far.").word is Word.FAILS


def runs(cell, lengths, n=10, **numbers):
    return [record(cell, length, seed, **numbers) for length in lengths for seed in range(n)]


STUDIED = ("c04", "c05", "c06", "c08", "c12", "c15", "c18", "c23", "c32")
LONG = (30, 35, 40, 45, 50, 75, 100)


def test_c04_asks_for_ninety_per_cent_to_25():
    good = runs("rnn", (5, 10, 15, 20, 25), mean_last_1000=0.9)
    assert CLAIMS["c04"].verdict(good).word is Word.HOLDS
    bad = [*runs("rnn", (5, 10, 15, 20), mean_last_1000=0.9), *runs("rnn", (25,), mean_last_1000=0.89)]
    assert CLAIMS["c04"].verdict(bad).word is Word.FAILS


def repeated(records):
    """The same runs as if their batches had been fed eight times."""
    return [dataclasses.replace(r, id=f"{r.id}x", config={**r.config, "repeat": 8}) for r in records]


def test_where_repeated_batches_disagree_a_claim_holds_under_conditions():
    good, bad = (runs("rnn", (5, 10, 15, 20, 25), mean_last_1000=mean) for mean in (0.95, 0.5))
    verdict = CLAIMS["c04"].verdict(bad + repeated(good))
    assert verdict.word is Word.CONDITIONS
    assert (verdict.value, verdict.weakest) == (0.0, "T = 5")  # the number is that of fresh batches
    assert "With every batch fed eight times: holds." in verdict.detail
    assert [j.finding for j in verdict.judgements] == ["false"] * 5 + ["true"] * 5
    assert verdict.judgements[5].case == "T = 5, with every batch fed eight times"
    assert CLAIMS["c04"].verdict(bad + repeated(bad)).word is Word.FAILS
    assert CLAIMS["c04"].verdict(good + repeated(good)).word is Word.HOLDS
    some = [r for r in good if r.config["length"] != 5]
    assert CLAIMS["c04"].verdict(bad + repeated(some)).word is Word.FAILS  # not yet judged at every length
    assert CLAIMS["c04"].verdict(repeated(good)).word is Word.NOT_RUN


def test_a_run_that_diverged_is_not_accurate():
    stopped = runs("rnn", (5, 10, 15, 20, 25), status="stopped", mean_last_1000=1.0)
    assert CLAIMS["c04"].verdict(stopped).word is Word.FAILS


def test_c05_looks_at_the_peak():
    assert CLAIMS["c05"].verdict(runs("rnn", LONG, peak_100=0.3)).word is Word.HOLDS
    assert CLAIMS["c05"].verdict(runs("rnn", LONG, peak_100=0.31)).word is Word.FAILS


def test_c06_pairs_the_runs_that_both_reached():
    rnn = runs("rnn", (5, 10), dips=3.0, dip_watched_steps=3000.0)
    lstm = runs("lstm", (5,), dips=1.0, dip_watched_steps=2000.0) + runs("lstm", (10,))
    verdict = CLAIMS["c06"].verdict(rnn + lstm)
    assert verdict.word is Word.HOLDS
    assert [j.case for j in verdict.judgements] == ["T = 5"]
    assert verdict.judgements[0].measure.value == pytest.approx(0.5)


def test_c08_wants_convergence_and_closeness():
    lengths = (5, 10, 15, 20, 25)
    close = runs("rnn", lengths, mean_last_1000=0.95, mean_all=0.86)
    assert CLAIMS["c08"].verdict(close).word is Word.HOLDS
    never = runs("rnn", lengths, mean_last_1000=0.1, mean_all=0.1)
    assert CLAIMS["c08"].verdict(never).word is Word.FAILS


def test_c15_allows_a_small_margin_only_where_it_is_short():
    lengths = (5, 10, 15, 20, 25, *LONG)
    rnn = runs("rnn", lengths, mean_last_1000=0.7)
    lstm = runs("lstm", lengths, mean_last_1000=0.9)
    verdict = CLAIMS["c15"].verdict(rnn + lstm)
    assert verdict.word is Word.FAILS
    assert verdict.detail.endswith("False at T = 5, 10.")


@pytest.mark.parametrize("study", ["quick_study", "report_study"])
def test_a_small_budget_gives_a_preview(study, request):
    records = request.getfixturevalue(study)
    for claim in CLAIMS.values():
        verdict = claim.verdict(records)
        assert verdict.word is Word.NOT_RUN
        assert verdict.value is None
    assert CLAIMS["c04"].verdict(records).judgements


def test_no_runs_at_all():
    assert {claim.verdict([]).word for claim in CLAIMS.values()} == {Word.NOT_RUN}


def test_the_full_study_gets_a_word_for_every_claim(full_study):
    words = {id: CLAIMS[id].verdict(full_study, [time_gate_measured()]).word for id in STUDIED}
    assert Word.NOT_RUN not in words.values()
    assert (words["c04"], words["c05"]) == (Word.FAILS, Word.HOLDS)


def test_claims_are_in_the_order_of_their_ids():
    assert list(CLAIMS) == sorted(CLAIMS)
    assert json.dumps([str(word) for word in Word]) == (
        '["holds", "holds under conditions", "does not hold", "not yet run"]'
    )


def test_numbers_are_written_one_way():
    assert number(-0.5) == "\N{MINUS SIGN}0.50"
    assert number(-0.001) == "0.00"
    assert number(None) == "–"
    assert share(wilson(9, 10)) == "9 of 10 [0.60, 0.98]"
    assert estimate(wilson(9, 10), 1) == "0.9 [0.6, 1.0]"
