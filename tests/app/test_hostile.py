"""What a folder may hold: recipes that are HTML, foreign configs, reports and claims of anybody."""

import json
import os
from html.parser import HTMLParser

import pytest

pytest.importorskip("gradio", reason="the app needs gradio: pip install 'memspan[app]'")

from memspan.app import inside, reading, text, train
from memspan.app import ledger as stored
from memspan.app.refusal import refused
from memspan.app.svg import Chart
from memspan.config import RunConfig
from memspan.errors import ArgumentError
from memspan.ledger import RunRecord
from memspan.statistics import wilson

HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>\"'&"
ALLOWED = {
    "p", "b", "i", "a", "span", "div", "code", "figure", "figcaption", "svg", "line", "polyline", "polygon",
    "rect", "circle", "text", "table", "thead", "tbody", "tr", "th", "td", "iframe", "em",
}  # fmt: skip


class Tags(HTMLParser):
    """Collect every element and attribute of a piece of HTML."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self.words = set(), set(), []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attributes}

    def handle_data(self, data):
        self.words.append(data)


def harmless(page):
    seen = Tags(page)
    assert seen.tags <= ALLOWED, seen.tags - ALLOWED
    assert not {name for name in seen.attributes if name.startswith("on")}
    return "".join(seen.words)


def test_recipes_of_stored_runs_are_text(monkeypatch, tmp_path):
    shares = {f"{HOSTILE} {k}": {5: wilson(1, 2), 9: wilson(2, 2)} for k in range(4)}
    monkeypatch.setattr(train, "solved_shares", lambda folder: shares)
    assert HOSTILE in harmless(train.shares(tmp_path))


@pytest.mark.parametrize("field", ["title", "x_label"])
def test_every_text_of_a_chart_is_text(field):
    chart = Chart(**{"title": "t", "x": (0, 10), "y": (0, 1)} | {field: HOSTILE})
    chart.legend([(HOSTILE, "main")])
    chart.letters([(1, HOSTILE)])
    assert HOSTILE in harmless(chart.render(HOSTILE))


@pytest.mark.parametrize("field", ["id", "verdict", "sentence", "command"])
def test_every_text_of_a_claim_is_text(field, tmp_path):
    row = {"id": "c1", "verdict": "holds", "sentence": "s", "value": 0.5, "low": 0.1, "high": 1, "n": 5}
    (tmp_path / reading.CLAIMS).write_text(json.dumps([row | {field: HOSTILE}]))
    (tmp_path / reading.REPORT).write_text("<html></html>")
    words = harmless(reading.show(tmp_path))
    assert field == "command" or HOSTILE in words


def test_symbols_and_gates_of_a_network_are_text():
    seen = inside.Shown(HOSTILE, *({HOSTILE: [0.5] * len(HOSTILE)} for _ in range(2)))
    seen = inside.Shown(HOSTILE, *({k: train.np.array(v) for k, v in part.items()} for part in seen[1:]))
    assert HOSTILE in harmless(inside._gradients(seen) + inside._gates(seen))


def test_characters_and_their_rivals_are_text():
    page = "".join(text._character(c, 1.0, text._bar(HOSTILE, 0.5)) for c in HOSTILE)
    assert HOSTILE in harmless(page)


def test_errors_are_drawn_as_text():
    assert HOSTILE in harmless(refused(ArgumentError(HOSTILE)).message)


@pytest.mark.parametrize(
    "content",
    [
        "", "nonsense", "3", "null", '"c1"', "{}", "[3, null, []]", "[" * 100_000, '[{"id": 3}]',
        "[{}]", '[{"id": "c1", "sentence": 1}]',
        '[{"id": "c1", "value": "x"}]', '[{"id": "c1", "low": [], "high": 1}]', '[{"id": "c1", "n": {}}]',
        '[{"id": "c1", "value": NaN}]', f'[{{"id": "c1", "value": {"9" * 400}}}]',
    ],
)  # fmt: skip
def test_claims_that_cannot_be_read_are_nothing_to_show(tmp_path, content):
    (tmp_path / reading.CLAIMS).write_text(content)
    (tmp_path / reading.REPORT).write_text("<html></html>")
    assert reading.claims(tmp_path) == []
    assert reading.show(tmp_path) == reading.MISSING


def test_one_row_that_cannot_be_read_leaves_the_others(tmp_path):
    (tmp_path / reading.CLAIMS).write_text(
        json.dumps([{"id": "c1", "value": []}, {"id": "c2", "value": 1}, 7])
    )
    assert [row["id"] for row in reading.claims(tmp_path)] == ["c2"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs")
def test_a_fifo_and_a_folder_are_no_claims(tmp_path):
    os.mkfifo(tmp_path / reading.CLAIMS)
    assert reading.claims(tmp_path) == []
    os.unlink(tmp_path / reading.CLAIMS)
    (tmp_path / reading.CLAIMS).mkdir()
    assert reading.claims(tmp_path) == []


GOOD = RunConfig.from_flat({"length": 5, "steps": 5, "seed": 0})


@pytest.mark.parametrize(
    "change",
    [
        {"cell": "os:_exit"}, {"cell": HOSTILE}, {"cell": None}, {"cell": []}, {"task": "os:_exit"},
        {"task": 3},
        {"length": "5"}, {"length": -1}, {"length": 10**400}, {"hidden": {}}, {"seed": None}, {"unknown": 1},
        {"learning_rate": float("nan")}, {"init": HOSTILE}, {"learning_rate": 10**400},
    ],
)  # fmt: skip
def test_a_foreign_config_is_nothing_to_show(change, monkeypatch, tmp_path):
    """The records as a ledger might give them, whatever it checks itself."""

    def record(config):
        return RunRecord(
            **dict.fromkeys(RunRecord.__dataclass_fields__)
            | {"id": GOOD.id, "config": config, "status": "finished", "metrics": {"solved": 1.0}}
        )

    class Fake:
        def intact(self, **where):
            return [record(GOOD.flat() | change), record(GOOD.flat())]

    found = stored._select(Fake(), status="finished")
    assert [r.config for r in found] == [GOOD.flat()]


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm", "phased_lstm", "peephole_lstm", "phased_rnn"])
def test_the_biases_offered_for_a_cell_are_those_it_accepts(cell):
    offered = train.biases(cell)
    assert offered
    for bias in offered:
        train.run_of(cell, 20, "xavier_normal", bias, "rmsprop", 1e-3, 8, 100, 0)
    chosen = train._offered(cell, train.DEFAULT_BIAS)
    assert chosen.value in offered
    assert (chosen.value == train.DEFAULT_BIAS) == ("lstm" in cell)
