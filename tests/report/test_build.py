import csv
import json
import re
from html.parser import HTMLParser

import jinja2
import pytest
from made_up import made_up_study, studied

from memspan.errors import LedgerError, OutputError, UnknownNameError
from memspan.ledger import Ledger
from memspan.ledger.events import Finished, Piece, Started
from memspan.report import build_report, check_out
from memspan.report.build import write_report
from memspan.report.claims import CLAIMS, SeedClaim
from memspan.report.figures import FIGURES
from memspan.report.output import whole_or_nothing
from memspan.report.tokens import Tokens
from memspan.study import preset

PARTS = [
    ".memspan-report",
    "claims.json",
    "figures",
    "report.html",
    "report.pdf",
    "runs.parquet",
    "tables",
]


@pytest.fixture(scope="module")
def ledger(answers, tmp_path_factory):
    """A ledger that holds a made-up quick study, and the probes' answers."""
    ledger = Ledger.open(tmp_path_factory.mktemp("held") / "ledger.sqlite")
    runs = studied("quick")
    ledger.register(runs)
    for run, made_up in zip(runs, made_up_study("quick"), strict=True):
        line = made_up.curve("batch_accuracy").mean
        facts = {"kernel": "made up", "code_version": "0", "machine": "none"}
        ledger.append(Started(run.id, 0, facts=facts))
        curves = {"batch_accuracy": Piece(1, 1, line)}
        ledger.append(
            Finished(run.id, len(line), curves=curves, state=b"end", metrics=made_up.metrics, wall_seconds=1)
        )
    for answer in answers:
        ledger.measure(answer.config, answer.values, answer.machine)
    yield ledger
    ledger.close()


@pytest.fixture(scope="module")
def built(ledger, tmp_path_factory):
    out = tmp_path_factory.mktemp("built") / "out"
    build_report(ledger, out, preset="quick")
    return out


class Page(HTMLParser):
    """Collects what the tests ask of a page."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.tags, self.fetched = [], [], set(), []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.tags.add(tag)
        self.ids += [found["id"]] if "id" in found else []
        self.links += [found["href"]] if "href" in found else []
        self.fetched += [found[name] for name in ("src", "srcset", "data", "action") if name in found]


def test_every_part_is_written(built):
    assert sorted(path.name for path in built.iterdir()) == PARTS
    figures = {path.stem for path in (built / "figures").iterdir()}
    assert {id for id in FIGURES if id.startswith(("fig1", "fig4"))} <= figures
    assert len(list((built / "figures").iterdir())) == len(figures) * 3
    assert (built / "report.pdf").read_bytes().startswith(b"%PDF")


def test_the_page_needs_nothing_else(built):
    text = (built / "report.html").read_text()
    page = Page(text)
    assert not page.fetched
    assert "script" not in page.tags
    assert "link" not in page.tags
    assert all(link.startswith(("#", "data:image/png")) for link in page.links)
    assert not any(word in text for word in ("http:", "https:", "url(http", "@import"))
    assert len(text) < 8e6


def test_no_markup_is_left_over(built):
    text = re.sub(r"<svg.*?</svg>", "", (built / "report.html").read_text(), flags=re.DOTALL)
    assert not re.search(r"!(figure|table|rest|claims|facts)\b|\*\*|\]\(#|\$\$", text.split("</style>")[1])


def test_links_lead_somewhere_and_ids_are_unique(built):
    page = Page((built / "report.html").read_text())
    assert len(set(page.ids)) == len(page.ids)
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)


def test_quick_is_a_preview(built):
    text = (built / "report.html").read_text()
    assert "This page is a preview" in text
    assert 'class="tag holds"' not in text.split('id="lstm"')[1].split('id="beside"')[0]
    rows = json.loads((built / "claims.json").read_text())
    assert [row["id"] for row in rows] == list(CLAIMS)
    for row in rows:
        assert list(row) == ["id", "verdict", "value", "low", "high", "n", "told", "command"]
        if isinstance(CLAIMS[row["id"]], SeedClaim):
            assert (row["verdict"], row["value"], row["n"]) == ("not yet run", None, None)
        assert row["command"] == f"memspan reproduce --only {row['id']}"


def test_tables_hold_the_numbers(built):
    with (built / "tables" / "lengths.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["cell"], row["length"]) for row in rows][:5] == [
        *(("rnn", length) for length in ("5", "10", "20", "30")),
        ("lstm", "5"),
    ]
    assert all(row["n"] == "2" and float(row["mean_all_low"]) <= float(row["mean_all"]) for row in rows)
    with (built / "tables" / "judgements.csv").open() as file:
        previews = {row["id"]: row["preview"] for row in csv.DictReader(file)}
        assert (previews["c04"], previews["c03"]) == ("yes", "no")


def test_building_twice_gives_the_same_bytes(ledger, built, tmp_path):
    again = build_report(ledger, tmp_path / "out", preset="quick").parent
    files = sorted(path.relative_to(built) for path in built.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(again) for path in again.rglob("*") if path.is_file())
    assert [name for name in files if (built / name).read_bytes() != (again / name).read_bytes()] == []


def test_a_full_study_is_judged_on_the_page(full_study, answers, few_figures, tmp_path):
    write_report(full_study, tmp_path, preset("full"), answers)
    text = (tmp_path / "report.html").read_text()
    assert "This page is a preview" not in text
    assert "does not hold" in text
    assert "0 of 5 seeds at the weakest length" in text
    rows = {row["id"]: row for row in json.loads((tmp_path / "claims.json").read_text())}
    assert {rows[id]["n"] for id in ("c04", "c05", "c08", "c12")} == {5}


def test_a_token_without_a_value_stops_the_build_with_its_name():
    template = jinja2.Template("{{ n.rnn_dips }}")
    with pytest.raises(LedgerError, match=r"'rnn_dips' cannot be filled: the runs give it no value"):
        template.render(n=Tokens({"rnn_dips": None}))
    with pytest.raises(LedgerError, match=r"'rnn_dipz' cannot be filled: nothing defines it"):
        jinja2.Template("{{ n.rnn_dipz }}").render(n=Tokens({"rnn_dips": "1"}))


def test_a_stopped_build_writes_nothing(tmp_path):
    with Ledger.open(tmp_path / "empty.sqlite") as empty:
        out = tmp_path / "out"
        with pytest.raises(LedgerError, match="token"):
            build_report(empty, out, preset="quick")
        assert not list(out.iterdir())


def test_rebuilding_leaves_the_ledger_alone(tmp_path):
    (tmp_path / "ledger.sqlite").write_bytes(b"kept")
    (tmp_path / "ledger.checkpoints").mkdir()
    (tmp_path / "ledger.checkpoints" / "a.safetensors").write_bytes(b"kept too")
    (tmp_path / ".unfinished-old").mkdir()
    for text in ("first", "second"):
        with whole_or_nothing(tmp_path) as folder:
            (folder / "tables").mkdir()
            (folder / "tables" / f"{text}.csv").write_text(text)
    names = [".memspan-report", "ledger.checkpoints", "ledger.sqlite", "tables"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert [path.name for path in (tmp_path / "tables").iterdir()] == ["second.csv"]
    assert (tmp_path / "ledger.checkpoints" / "a.safetensors").read_bytes() == b"kept too"


def test_a_build_that_fails_leaves_the_last_one(tmp_path):
    with whole_or_nothing(tmp_path) as folder:
        (folder / "report.html").write_text("whole")
    with pytest.raises(FileNotFoundError), whole_or_nothing(tmp_path) as folder:
        (folder / "missing" / "report.html").write_text("half")
    assert (tmp_path / "report.html").read_text() == "whole"
    assert sorted(path.name for path in tmp_path.iterdir()) == [".memspan-report", "report.html"]


def test_a_foreign_folder_is_refused_untouched(ledger, tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(OutputError, match=r"holds 'thesis.tex' and is no report of ours"):
        build_report(ledger, tmp_path, preset="quick")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_out_may_be_new_or_empty_and_not_a_file(tmp_path):
    check_out(tmp_path)
    check_out(tmp_path / "new" / "deep")
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(OutputError, match="not a folder"):
            check_out(out)


def test_an_unwritable_place_is_refused():
    with pytest.raises(OutputError, match="cannot be written"):
        check_out("/proc/memspan-report")


def test_an_unknown_preset_is_refused(ledger, tmp_path):
    with pytest.raises(UnknownNameError, match="preset"):
        build_report(ledger, tmp_path / "out", preset="fulll")
    assert not (tmp_path / "out").exists()
