"""c19, c20 and c22 on made-up runs: each can hold, fail, or hold under conditions; figures are drawn."""

import numpy as np
import pytest
import safetensors.torch

from memspan.ledger import Measurement, RunRecord
from memspan.probes import streaming
from memspan.report.claims import CLAIMS, Word
from memspan.report.claims.events import REPORTS_CASE, SINES, start_case
from memspan.report.figures import FIGURES
from memspan.report.tokens import clock_tokens, sensor_tokens, sine_tokens, streaming_tokens
from memspan.streams import stream
from memspan.study import EXPERIMENTS, clocks, sensors
from memspan.training.pack import Pack

RECALLED = [f"recalled_{n}" for n in streaming.MARKS]


def ended(run, **metrics):
    facts = {"kernel": "made up", "machine": "none"}
    steps = run.recipe.steps
    return RunRecord(run.id, run.flat(), "finished", "", steps, metrics, facts, 1.0, False, None)


def events(phased, others, sines=0.98):
    """Two sensors and sines: how often the slow sensor is answered, and the gate's accuracy on sines."""
    records = []
    for run in (*EXPERIMENTS["two_sensors"].runs, *EXPERIMENTS["sines"].runs):
        gated = run.recipe.cell == "phased_lstm"
        slow = phased if gated else others
        score = slow if run.task.name == "two_sensors" else sines if gated else 0.7
        records.append(ended(run, accuracy=score, accuracy_1=slow, accuracy_2=1.0))
    return records


def test_a_gate_that_keeps_what_lstms_lose_suits_events():
    v = CLAIMS["c19"].verdict(events(0.99, 0.52))
    assert v.word is Word.HOLDS
    assert {j.case for j in v.judgements} == {REPORTS_CASE, SINES}
    assert v.judgements[0].measure.value == pytest.approx(0.47)
    assert "5 of 5 seeds" in CLAIMS["c19"].told(v)


@pytest.mark.parametrize(
    ("phased", "others", "sines", "where"),
    [
        (0.99, 0.97, 0.98, REPORTS_CASE),  # LSTMs keep it as well
        (0.90, 0.52, 0.98, REPORTS_CASE),  # the gate loses it too
        (0.99, 0.52, 0.69, SINES),
    ],
)
def test_it_does_not_if_lstms_do_as_well_or_it_loses_the_sensor_too(phased, others, sines, where):
    v = CLAIMS["c19"].verdict(events(phased, others, sines))
    assert (v.word, v.weakest) == (Word.FAILS, where)


def test_the_prose_counts_runs_that_keep_the_slow_sensor():
    found = sensor_tokens(events(0.99, 0.52))
    assert (found["kept_phased_1000"], found["kept_chrono_100"]) == ("5 of 5", "0 of 10")
    assert (found["kept_usual_10"], found["kept_gru_1000"]) == ("0 of 5", "0 of 10")
    assert sensor_tokens([])["kept_phased_1000"] is None


def test_the_prose_tells_networks_and_recipes_for_sines_apart():
    under_a_falling_rate = [
        ended(run, accuracy=0.95 if run.recipe.cell == "phased_lstm" else 0.8)
        for name in ("sines_settled", "sines_fine")
        for run in EXPERIMENTS[name].runs
    ]
    found = sine_tokens([*events(0.99, 0.52, 0.9), *under_a_falling_rate])
    assert {name: text for name, text in found.items() if name.startswith("sines_")} == {
        "sines_phased": "0.900 [0.900, 0.900]",
        "sines_t": "0.700 [0.700, 0.700]",
        "sines_delta": "0.700 [0.700, 0.700]",
    }
    assert found["settled_phased_asynchronous"] == found["settled_phased_fine"] == "0.950 [0.950, 0.950]"
    assert found["settled_lstm_standard"] == found["settled_gru_fine"] == "0.800 [0.800, 0.800]"
    assert set(sine_tokens([]).values()) == {None}


def test_the_prose_counts_runs_that_solve_long_palindromes():
    runs = [run for name in ("clocks", "clocks_long", "clocks_longest") for run in EXPERIMENTS[name].runs]
    told = [ended(run, solved=float(run.recipe.clock_shift == "first_event")) for run in runs]
    found = clock_tokens(told)
    assert (found["solved_told_10000"], found["solved_moved_100"]) == ("5 of 5", "5 of 5")
    assert (found["solved_untold_1000"], found["solved_flagged_100"]) == ("0 of 5", "0 of 15")
    assert (found["solved_told_100000"], found["solved_moved_100000"]) == ("3 of 3", None)


def test_the_prose_tells_what_a_stream_of_a_million_digits_leaves():
    asked = [
        Measurement({"probe": "streaming", "run": str(k)}, dict.fromkeys(RECALLED, share), {})
        for k, share in enumerate((0.25, 0.75))
    ]
    assert streaming_tokens(asked)["recalled_1000000"].startswith("0.50 [")
    assert set(streaming_tokens([])) == set(RECALLED)


def test_a_diverged_run_scores_nothing():
    records = events(0.99, 0.52)
    for record in records:
        if record.config["cell"] == "phased_lstm":
            record.metrics.clear()
    assert CLAIMS["c19"].verdict(records).word is Word.FAILS


def test_smaller_budgets_decide_nothing():
    short = [r for r in events(0.99, 0.52) if r.config["steps"] != sensors.EVENTS.steps]
    assert CLAIMS["c19"].verdict(short).word is Word.NOT_RUN
    assert CLAIMS["c20"].verdict([]).word is Word.NOT_RUN


def palindromes(scores):
    return [
        ended(run, accuracy=scores(name, run.task.length))
        for name in clocks.NETWORKS
        for length in (*clocks.LENGTHS, clocks.LONG)
        for run in (clocks.palindrome(name, length, seed) for seed in clocks.SEEDS)
    ]


def test_a_told_clock_is_no_evidence():
    told = palindromes(lambda name, length: 1.0 if name == clocks.TOLD else 0.1)
    v = CLAIMS["c20"].verdict(told)
    assert v.word is Word.FAILS
    assert len(v.judgements) == 6


def test_a_clock_not_told_is_if_it_beats_both_others_at_every_length():
    untold = {clocks.UNTOLD, clocks.MOVED}
    assert CLAIMS["c20"].verdict(palindromes(lambda n, T: 0.9 if n in untold else 0.1)).word is Word.HOLDS
    short = palindromes(lambda n, T: 0.9 if n in untold or (n == clocks.GRU and T == 100) else 0.1)
    v = CLAIMS["c20"].verdict(short)
    assert v.word is Word.FAILS
    assert v.weakest.startswith("T = 100,")


def planted(found_up_to):
    return [
        ended(run, accuracy=0.9, period_p50_end=run.task.period * (1 if within else 1.3))
        for run in EXPERIMENTS["planted"].runs
        for within in [run.recipe.clock_low <= run.task.period * (1 + found_up_to)]
    ]


@pytest.mark.parametrize(
    ("found_up_to", "word"), [(1.0, Word.HOLDS), (0.06, Word.CONDITIONS), (0.006, Word.FAILS)]
)
def test_a_period_is_found_from_everywhere_from_near_by_or_not_at_all(found_up_to, word):
    v = CLAIMS["c22"].verdict(planted(found_up_to))
    assert v.word is word
    if word is Word.CONDITIONS:
        assert v.detail.startswith("Condition:")
        assert f"False at {start_case(5, 0.1)}" in v.detail.replace("; ", ", ")


def test_a_missing_start_leaves_it_open():
    some = [r for r in planted(0.06) if r.config["cycles"] != 80]
    assert CLAIMS["c22"].verdict(some).word is Word.NOT_RUN


@pytest.mark.parametrize(
    ("figure", "records"),
    [
        ("fig-two-sensors", [r for r in events(0.99, 0.52) if r.config["task"] == "two_sensors"]),
        ("fig-sines", [r for r in events(0.99, 0.52) if r.config["task"] == "sines"]),
        ("fig-clocks", palindromes(lambda name, length: 1.0 if name == clocks.TOLD else 0.1)),
        ("fig-planted", planted(0.06)),
    ],
)
def test_figures_show_every_network(figure, records):
    drawn = FIGURES[figure].draw(records)
    names = {text.get_text() for legend in drawn.legends for text in legend.get_texts()}
    if figure == "fig-clocks":
        assert names == set(clocks.NETWORKS)
    elif figure != "fig-planted":
        assert names == set(sensors.ON_SENSORS if figure == "fig-two-sensors" else sensors.NETWORKS)
    else:
        (axes,) = drawn.axes
        assert len(axes.get_lines()) == 3


def test_sines_are_drawn_by_sampling_and_by_how_the_rate_goes():
    asked = ("sines", "sines_settled", "sines_fine")
    drawn = FIGURES["fig-sines"].draw([ended(r, accuracy=0.9) for e in asked for r in EXPERIMENTS[e].runs])
    labels = [label.get_text().replace("\n", " ") for label in drawn.axes[0].get_xticklabels()]
    assert labels == [
        "standard, constant rate", "standard, falling rate", "fine, falling rate",
        "asynchronous, constant rate", "asynchronous, falling rate",
    ]  # fmt: skip


def test_the_spread_of_clocks_is_drawn_for_every_task_that_does_not_tell_them():
    clock = {f"{name}_p{q}_{when}": 1.0 + q for name in ("period", "open_ratio") for q in (10, 50, 90)
             for when in ("start", "end")}  # fmt: skip
    runs = [
        run for name in ("two_sensors", "sines", "sines_fine", "clocks") for run in EXPERIMENTS[name].runs
    ]
    drawn = FIGURES["fig-spread"].draw([ended(run, **clock) for run in runs])
    labels = [label.get_text() for label in drawn.axes[0].get_yticklabels()]
    assert labels[:4] == [*(f"two sensors, 1 : {n}" for n in ("10", "100", "1,000")), "sines, standard"]
    assert labels[-1] == "palindromes, T = 1,000 not told"
    assert len(labels) == 8
    assert len(drawn.axes[1].get_lines()) == 2 * 2 * 8


def test_streaming_is_reading_the_whole_palindrome_at_once(monkeypatch):
    for name, value in {"SHOWN": 60, "ROWS": 9, "PIECE": 20, "MARKS": (20, 60)}.items():
        monkeypatch.setattr(streaming, name, value)
    run = clocks.palindrome(clocks.TOLD, 1000, 3, hidden=16)
    pack = Pack([run])
    found = streaming.of_run(run, safetensors.torch.save({"weights": pack.weights[0]}))
    digits = streaming._shown(stream(3, "probe streaming"))
    assert digits.shape == (60, 9)
    assert np.array_equal(digits[1:], digits[:0:-1])  # the last digit, which equals the first, is not shown
    answers = pack.reader(0)(digits)[0].argmax(-1)
    wanted = {f"recalled_{n}": float((answers[n - 1] == digits[0]).mean()) for n in (20, 60)}
    assert found == wanted | {"rows": 9.0}
