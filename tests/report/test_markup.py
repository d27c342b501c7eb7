"""The prose's markup: the same blocks as HTML and as Typst; and that the prose places every claim."""

import re
from importlib import resources

import pytest

from memspan.report.claims import CLAIMS
from memspan.report.figures import FIGURES
from memspan.report.markup import Block, blocks, math_html, scripted, to_html, to_typst
from memspan.report.tables import TABLES

PROSE = (resources.files("memspan.report") / "page" / "report.md.j2").read_text(encoding="utf-8")


def test_blocks_are_told_apart():
    source = "# A title\n\n## A part #part\n\nWords\nand more.\n\n!figure fig1a wide\nIts caption."
    source += "\n\n- one\n- two\n\n$$ a\n$$ b"
    assert list(blocks(source)) == [
        Block("h1", ("",), ("A title",)),
        Block("h2", ("part",), ("A part",)),
        Block("p", (), ("Words", "and more.")),
        Block("figure", ("fig1a", "wide"), ("Its caption.",)),
        Block("list", (), ("one", "two")),
        Block("equation", (), ("a", "b")),
    ]


def test_marks_become_html_and_text_is_escaped():
    made = to_html("*a* **b** `c < d` [e](#f) & $W_{hh} h_t^2$")
    assert made == (
        '<em>a</em> <strong>b</strong> <code>c &lt; d</code> <a href="#f">e</a> &amp; <span class="math">'
        "<i>W</i><sub><i>hh</i></sub> <i>h</i><sub><i>t</i></sub><sup>2</sup></span>"
    )
    assert math_html("tanh x") == '<span class="math">tanh <i>x</i></span>'


@pytest.mark.parametrize("text", ['#set $x "quoted" \\ back', "#eval(1)", "= heading", "@ref <label> _a_ ~"])
def test_no_text_is_read_as_typst(text):
    made = to_typst(text.replace("$", ""))
    assert re.fullmatch(r'(#"(?:[^"\\]|\\.)*")+', made), made


def test_letters_with_an_index_are_mathematics():
    assert scripted("W_hh and dL/dW_ph, time_gate") == "$W_{hh}$ and dL/$dW_{ph}$, time_gate"


def test_the_prose_places_every_claim_and_names_nothing_unknown():
    placed = list(blocks(PROSE))
    left = {id for block in placed if block.kind == "rest" for id in block.args}
    assert left == set(CLAIMS)
    shown = [block.args[0] for block in placed if block.kind in ("figure", "table")]
    assert len(set(shown)) == len(shown)
    assert set(shown) <= {*FIGURES, *TABLES}
    targets = set(re.findall(r"\]\(#([\w-]+)\)", PROSE))
    assert targets <= {block.args[0] for block in placed if block.kind == "h2"} | set(CLAIMS)
