"""What a visitor may ask for, without a browser: bounds, names, and the pictures as text."""

import json
import threading

import pytest

pytest.importorskip("gradio", reason="the app needs gradio: pip install 'memspan[app]'")

from memspan.app import gate, inside, models, reading, text, train, turns
from memspan.app.ledger import final_state, solved_shares, stored_curves, trained_runs
from memspan.app.svg import Chart, steps
from memspan.cells.time_gate.curve import openness
from memspan.errors import ArgumentError, MemspanError

WISH = ("lstm", 20, "xavier_normal", "zero", "rmsprop", 1e-3, 16, 100, 0)


def test_the_curve_of_the_gate_is_the_gates():
    curve = gate.curve(15, 2, 0.4, 0.1)
    assert curve["openness"] == openness(curve["time"], 15, 2, 0.4, 0.1).tolist()


def test_the_drawn_gate_is_exact_at_its_corners():
    time = gate._corners(7, 1.5, 0.3)
    assert {1.5, 1.5 + 7 * 0.15, 1.5 + 7 * 0.3} <= set(time.tolist())
    assert (time[0], time[-1]) == (0, gate.END)


@pytest.mark.parametrize(
    ("place", "value"), [(1, 10**9), (1, -3), (6, 10**6), (7, 10**7), (0, "hal"), (8, -1)]
)
def test_absurd_trainings_are_refused_with_a_sentence(place, value):
    wish = list(WISH)
    wish[place] = value
    with pytest.raises(MemspanError, match=r"\w+"):
        train.run_of(*wish)


def test_one_visitor_trains_one_network_at_a_time():
    trainings = turns.Trainings()
    with trainings.begin("a") as first, trainings.begin("a") as second:
        assert first.is_set()
        assert not second.is_set()
        assert len(trainings) == 1
    assert len(trainings) == 0


def test_who_stops_while_waiting_is_not_trained_for_until_he_asks_again():
    trainings = turns.Trainings()
    assert not trainings.queue("a")
    with trainings.begin("a"), trainings.begin("b") as other:
        assert not trainings.queue("a")
        assert trainings.queue("c")
        assert trainings.stop("c")
        assert not trainings.wanted("c")
        assert trainings.queue("c")
        assert trainings.wanted("c")
        assert not trainings.stop("c")
        assert not other.is_set()


def test_watching_yields_words_and_a_chart_until_the_end(tmp_path):
    run = train.run_of("rnn", 5, "xavier_normal", "zero", "rmsprop", 1e-3, 8, 100, 0)
    words, chart = list(train.watch(run, "me", tmp_path))[-1]
    assert "Step 100 of 100" in words
    assert "done" in words
    assert chart.count("<circle") == 1


@pytest.mark.parametrize("name", ["../../etc", "/etc/passwd", "", "other"])
def test_a_model_is_chosen_by_name_only(tmp_path, name):
    with pytest.raises(ArgumentError, match="model"):
        models.load(tmp_path, name)


def test_a_foreign_model_file_is_refused(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "model.safetensors").write_bytes(b"not weights at all")
    assert "mine" in models.choices(tmp_path)
    with pytest.raises(MemspanError, match="mine"):
        models.load(tmp_path, "mine")


@pytest.mark.parametrize(
    ("prompt", "length", "seed", "told"),
    [
        ("x" * 3000, 10, 0, "3,000"),
        ("The", 10**9, 0, "length"),
        ("The", 10, -1, "seed"),
        ("日", 10, 0, "日"),
        ("", 10, 0, "prompt"),
    ],
)
def test_absurd_writing_is_refused(tmp_path, prompt, length, seed, told):
    with pytest.raises(ArgumentError, match=told):
        text.written(tmp_path, models.SHIPPED, prompt, 1.0, 1.0, seed, length)


def test_the_same_seed_writes_the_same_text_with_its_surprisal(tmp_path):
    one, two = (text.written(tmp_path, models.SHIPPED, "The right", 0.8, 1.0, 3, 40) for _ in range(2))
    assert one == two
    assert len(one["text"]) == len(one["surprisal_bits"]) == 40
    assert min(one["surprisal_bits"]) >= 0


@pytest.mark.parametrize(("typed", "told"), [("ab", "3 …"), ("x" * 999, "3 …"), ("日本語", "日")])
def test_what_cannot_be_read_is_refused(tmp_path, typed, told):
    with pytest.raises(ArgumentError, match=told):
        inside.look(tmp_path, models.SHIPPED, typed)


def test_gradients_and_gates_have_one_value_a_symbol(tmp_path):
    seen = inside.look(tmp_path, models.SHIPPED, "The right of")
    assert {len(curve) for part in seen[1:] for curve in part.values()} == {11}
    assert set(seen.gates) == {"i", "f", "g", "o"}


def test_an_empty_or_foreign_folder_has_nothing_to_show(tmp_path):
    (tmp_path / "ledger.sqlite").write_text("no ledger")
    run = train.run_of(*WISH)
    assert stored_curves(tmp_path, run) == []
    assert trained_runs(tmp_path) == solved_shares(tmp_path) == {}
    with pytest.raises(ArgumentError, match="not there"):
        final_state(tmp_path, run)


def test_claims_are_listed_and_escaped(tmp_path):
    row = {"id": "c1", "verdict": "holds", "value": 0.5, "low": 0.25, "high": 0.75, "n": 5, "command": "<b>"}
    (tmp_path / reading.CLAIMS).write_text(json.dumps([row]))
    assert reading.show(tmp_path) == reading.MISSING
    (tmp_path / reading.REPORT).write_text("<html></html>")
    assert "0.25 … 0.75" in reading.show(tmp_path)
    (tmp_path / reading.CLAIMS).write_text(json.dumps([row | {"id": "c04"}]))
    assert reading.claims(tmp_path)[0]["sentence"]
    assert "<b>" not in reading.show(tmp_path)


def test_a_chart_is_one_described_element():
    chart = Chart("A < B", (0, 10), (0, 1))
    chart.line([0, 10], [0, 1], "main")
    drawn = chart.render("rises")
    assert drawn.startswith("<figure")
    assert 'aria-label="A &lt; B: rises"' in drawn
    assert steps(0, 7, 5) == [0.0, 2.0, 4.0, 6.0]


def test_who_writes_before_the_kernel_is_ready_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(models, "WARM", threading.Event())
    wish = (tmp_path, models.SHIPPED, "The right", 0.5, 1.0, 1.0, 0, 20)
    first, *rest = text.write(*wish)
    assert "compiled once" in first[0]
    assert "compiled once" not in rest[-1][0]
    models.WARM.set()
    assert "compiled once" not in next(text.write(*wish))[0]
