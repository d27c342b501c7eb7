"""The document: figures, claims and tables put into one self-contained page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jinja2
from markupsafe import Markup

from memspan.report.claims import Claim, SeedClaim, Verdict, Word
from memspan.report.figures import FIGURES
from memspan.report.figures.save import for_page, variable
from memspan.report.figures.style import dark_colours
from memspan.report.numbers import between, estimate, number, scientific, share, tied
from memspan.report.tokens import Tokens

SIGNS = {Word.HOLDS: "✓", Word.CONDITIONS: "◐", Word.FAILS: "✗", Word.NOT_RUN: "○"}
CLASSES = {Word.HOLDS: "holds", Word.CONDITIONS: "conditions", Word.FAILS: "fails", Word.NOT_RUN: "waits"}


@dataclass(frozen=True)
class ClaimView:
    """A claim as the page shows it."""

    claim: Claim
    verdict: Verdict
    command: str

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
    def value(self) -> str:
        """The bare number, for the table of claims."""
        write = number if isinstance(self.claim, SeedClaim) else scientific
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


@dataclass(frozen=True)
class Page:
    """Everything the template is filled with.

    Args:
        tokens: the numbers in the prose.
        claims: id → view, in order.
        svgs: figure id → SVG text; a figure without runs is missing.
        tables: table id → rows; a table without runs is missing.
        lengths: rows of the table of lengths.
        facts: name → text, about the machine and the versions.
        preset, summary, command: the budget.
        unfinished: sentences about runs that stopped or are missing.
    """

    tokens: Tokens
    claims: Mapping[str, ClaimView]
    svgs: Mapping[str, str]
    tables: Mapping[str, Sequence[Mapping[str, Any]]]
    lengths: Sequence[Mapping[str, Any]]
    facts: Mapping[str, str]
    preset: str
    summary: str
    command: str
    unfinished: Sequence[str]


def render(page: Page) -> str:
    """Return the page's HTML.

    Raises:
        LedgerError: a token in the prose has no value; the message names it.
    """
    colours = dark_colours(sorted({int(row["length"]) for row in page.lengths}))
    # drawn here, every text in it escaped by matplotlib
    figures = {id: Markup(for_page(svg, colours)) for id, svg in page.svgs.items()}
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("memspan.report", "page"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "tied": tied}
    return environment.get_template("report.html.j2").render(
        n=page.tokens,
        page=page,
        figures=figures,
        panels=FIGURES,
        colours_light=_variables({light: light for light in colours}),
        colours_dark=_variables(colours),
        between=between,
        judged=any(
            not view.verdict.is_preview for view in page.claims.values() if isinstance(view.claim, SeedClaim)
        ),
    )


def _variables(colours: Mapping[str, str]) -> Markup:
    return Markup(" ".join(f"{variable(light)}: {shown};" for light, shown in sorted(colours.items())))
