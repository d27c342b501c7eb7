"""The document: prose, figures, claims and tables, put into one self-contained page or into Typst."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import jinja2
from markupsafe import Markup

from memspan.report.claims import CLAIMS, Claim, SeedClaim, Verdict, Word
from memspan.report.figures import FIGURES
from memspan.report.figures.save import for_page, variable
from memspan.report.figures.style import dark_colours
from memspan.report.markup import (
    Block,
    blocks,
    math_html,
    math_typst,
    quoted,
    scripted,
    to_html,
    to_typst,
)
from memspan.report.numbers import between, cell_text, estimate, number, scientific, share, tied
from memspan.report.shipped import Shipped, shipped
from memspan.report.tables import TABLES
from memspan.report.tokens import Tokens
from memspan.study import Preset

SIGNS = {Word.HOLDS: "✓", Word.CONDITIONS: "◐", Word.FAILS: "✗", Word.NOT_RUN: "○"}
CLASSES = {Word.HOLDS: "holds", Word.CONDITIONS: "conditions", Word.FAILS: "fails", Word.NOT_RUN: "waits"}
JUDGING = "full"
"""The preset with the seeds and the budget that verdicts ask for."""


@dataclass(frozen=True)
class ClaimView:
    """A claim as the document shows it.

    Args:
        claim, verdict: the sentence and what the runs say of it.
        command: what regenerates it.
        published: the verdict that comes with the package, where this one is a preview.
    """

    claim: Claim
    verdict: Verdict
    command: str
    published: Shipped | None = None

    @property
    def sign(self) -> str:
        """A sign beside the word, so that colour is never the only difference."""
        return SIGNS[self.verdict.word]

    @property
    def look(self) -> str:
        """The CSS class of the word."""
        return CLASSES[self.verdict.word]

    @property
    def measured(self) -> str:
        """What the number beside each case is."""
        return self.claim.measured if isinstance(self.claim, SeedClaim) else ""

    @property
    def number(self) -> str:
        """The number the verdict rests on, in words."""
        v = self.verdict
        if v.value is None or v.n is None:
            return ""
        return tied(self.claim.told(v))

    @property
    def sentence(self) -> str:
        """The sentence, in the prose's markup."""
        return scripted(self.claim.sentence)

    @property
    def why(self) -> str:
        """What the verdict says beside its word, in the prose's markup."""
        return scripted(tied(self.verdict.detail))

    @property
    def value(self) -> str:
        """The bare number, for the table of claims: a share where it has an interval, else an error."""
        write = scientific if self.verdict.low is None else number
        return write(self.verdict.value)

    @property
    def preview(self) -> str:
        """What the runs at hand show without deciding anything."""
        if not self.verdict.is_preview or not self.verdict.judgements:
            return ""
        counts = (f"{j.case}: {share(j.share).split(' [')[0]}" for j in self.verdict.judgements)
        return tied("; ".join(counts))

    @property
    def rows(self) -> list[tuple[str, str, str, str]]:
        """Case, finding, share of seeds, measure: a row a case."""
        return [
            (
                tied(j.case),
                "preview" if self.verdict.is_preview else j.finding,
                share(j.share),
                estimate(j.measure) if j.measure else "–",
            )
            for j in self.verdict.judgements
        ]


def claim_views(verdicts: Mapping[str, Verdict], commands: Mapping[str, str]) -> dict[str, ClaimView]:
    """Return id → view; beside a preview stands the published verdict."""
    published = shipped()
    return {
        id: ClaimView(CLAIMS[id], v, commands[id], published.get(id) if v.is_preview else None)
        for id, v in verdicts.items()
    }


@dataclass(frozen=True)
class Page:
    """Everything the document is filled with.

    Args:
        tokens: the numbers in the prose.
        claims: id → view, in order.
        svgs: figure id → SVG text; a figure without runs is missing.
        tables: table id → rows; a table without runs is missing.
        lengths: rows of the table of lengths.
        facts: name → text, about the machine and the versions.
        preset: the budget.
        unfinished: sentences about runs that stopped or are missing.
    """

    tokens: Tokens
    claims: Mapping[str, ClaimView]
    svgs: Mapping[str, str]
    tables: Mapping[str, Sequence[Mapping[str, Any]]]
    lengths: Sequence[Mapping[str, Any]]
    facts: Mapping[str, str]
    preset: Preset
    unfinished: Sequence[str]

    @property
    def is_preview(self) -> bool:
        """Whether the preset is smaller than the verdicts ask for."""
        return self.preset.name != JUDGING


def render(page: Page, form: Literal["html", "typ"]) -> str:
    """Return the document as HTML or Typst.

    Raises:
        LedgerError: a token in the prose has no value; the message names it.
    """
    prose = (
        _environment("md").get_template("report.md.j2").render(n=page.tokens, page=page, word=_words(page))
    )
    body = list(_placed(blocks(prose), page))
    colours = dark_colours()
    return (
        _environment(form)
        .get_template(f"report.{form}.j2")
        .render(
            page=page,
            n=page.tokens,
            body=body,
            contents=[block for block in body if block.kind == "h2"],
            figures={id: Markup(for_page(svg, colours)) for id, svg in page.svgs.items()},
            panels=FIGURES,
            titles=TABLES,
            colours_light=_variables({light: light for light in colours}),
            colours_dark=_variables(colours),
            between=between,
            carded=set(),
            names=_numbered(body, page),
        )
    )


def _environment(form: Literal["md", "html", "typ"]) -> jinja2.Environment:
    """Return what fills a template; in prose the line after a condition stays, as it may part paragraphs."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("memspan.report", "page"),
        autoescape=form == "html",
        undefined=jinja2.StrictUndefined,
        trim_blocks=form != "md",
        lstrip_blocks=form != "md",
    )
    environment.filters |= {
        "number": number,
        "tied": tied,
        "cell": lambda value: value if isinstance(value, str) else cell_text(value) or "–",
        "scripted": scripted,
        "html": lambda text: Markup(to_html(text)),
        "math": lambda text: Markup(math_html(text)),
        "typst": to_typst,
        "typst_math": math_typst,
        "quoted": quoted,
    }
    return environment


def _words(page: Page) -> Any:
    """Return what writes a claim's verdict into a sentence, with its number where there is one."""

    def word(id: str) -> str:
        view = page.claims[id]
        told = f": {view.number}" if view.number else ""
        return f"[{id}](#{id}) **{view.verdict.word}**{told}"

    return word


def _placed(given: Iterator[Block], page: Page) -> Iterator[Block]:
    """Replace ``!rest`` by what its claims have and nobody has placed: figures, tables, then the claims."""
    every = list(given)
    exhibits = {block.args[0] for block in every if block.kind in ("figure", "table")}
    for block in every:
        if block.kind != "rest":
            yield block
            continue
        for kind, registry in (("figure", FIGURES), ("table", TABLES)):
            for id, exhibit in registry.items():
                if id not in exhibits and exhibit.claims and exhibit.claims[0] in block.args:
                    yield Block(kind, (id,), ())
        yield Block("claims", block.args, ())


def _numbered(body: Sequence[Block], page: Page) -> dict[str, str]:
    """Return figure id → its name: the report's own number, or one from 5 on in the order they stand."""
    shown = [block.args[0] for block in body if block.kind == "figure" and block.args[0] in page.svgs]
    added = [id for id in shown if "-" in id]
    return {id: f"Figure {5 + added.index(id) if id in added else id[3:]}" for id in shown}


def _variables(colours: Mapping[str, str]) -> Markup:
    return Markup(" ".join(f"{variable(light)}: {shown};" for light, shown in sorted(colours.items())))
