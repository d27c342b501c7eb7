"""``memspan span``: up to which length does a recipe remember?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from memspan.cells import CELLS
from memspan.cli.bounds import seeds_of
from memspan.cli.names import check_cell, task_class
from memspan.cli.options import SweepOptions
from memspan.cli.train import open_ledger, train_missing
from memspan.config import Recipe, RunConfig
from memspan.errors import ArgumentError, OutputError

if TYPE_CHECKING:
    from memspan.study.span import Span
    from memspan.study.span_search import SpanSearch

SUFFIXES = (".svg", ".png", ".pdf")


@dataclass(frozen=True)
class Knobs(Recipe):
    """A recipe's flags without the cell, which is named as a word; checked together with each cell."""

    cell: tyro.conf.Suppress[str] = "lstm"

    def __post_init__(self) -> None:
        """Check nothing yet."""


@dataclass(frozen=True)
class SpanCommand:
    """Find the memory span of one or several cells: the longest sequences that half of the seeds solve."""

    cells: tyro.conf.Positional[tuple[str, ...]]
    """Cells, for instance lstm gru, or a layer of your own as package.module:Class."""
    task: str = "palindrome"
    """A task with an axis of difficulty."""
    knobs: tyro.conf.OmitArgPrefixes[Knobs] = field(default_factory=Knobs)
    seeds: str = "0-9"
    """Seeds that may be spent at a length; it begins with five of them."""
    shortest: int | None = None
    """Shortest length asked; the task's own if not given."""
    longest: int | None = None
    """Longest length asked; the task's own if not given."""
    share: float = 0.5
    """Share of the seeds that must hold a length; 0.9 seeks span90."""
    resolution: float = 1.15
    """Ratio of two neighbouring lengths at which the search stops."""
    match: Literal["steps", "parameters", "wall"] = "steps"
    """What all cells have in common with the first: training steps; steps and parameters, the hidden units
    chosen; or seconds, the steps chosen from a few measured here."""
    json: bool = False
    """Print JSON."""
    plot: Path | None = None
    """Draw the share of seeds that solve against length into this file (.svg, .png or .pdf) as well."""
    options: tyro.conf.OmitArgPrefixes[SweepOptions] = field(default_factory=SweepOptions)

    def run(self) -> int:
        """Search what is not stored, print a table of spans, and draw it where asked."""
        from memspan.study.span_search import search_spans

        searches = self._searches()
        self._check_plot()
        if self.options.dry_run:
            return print_course(searches, self.options)
        with open_ledger(self.options) as ledger:
            spans = search_spans(searches, ledger, lambda runs: train_missing(runs, ledger, self.options))
        if self.plot is not None:
            _draw(spans, self.plot)
        print(json.dumps([span.flat() for span in spans], indent=1) if self.json else as_table(spans))
        return 0

    def _searches(self) -> list[SpanSearch]:
        from memspan.study.span_budget import matched
        from memspan.study.span_search import SpanSearch

        if not self.cells:
            raise ArgumentError(
                f"span needs a cell, for instance {', '.join(CELLS)}, or package.module:Class"
            )
        task_class(self.task)
        for cell in self.cells:
            check_cell(cell)
        searches = [
            SpanSearch(
                recipe=Recipe(**asdict(self.knobs) | {"cell": cell}),
                task=self.task,
                seeds=tuple(seeds_of(self.seeds)),
                shortest=self.shortest,
                longest=self.longest,
                share=self.share,
                resolution=self.resolution,
            )
            for cell in self.cells
        ]
        return [searches[0], *(matched(search, searches[0], self.match) for search in searches[1:])]

    def _check_plot(self) -> None:
        """Refuse a picture that could not be written, before hours of training."""
        if self.plot is None:
            return
        if self.plot.suffix.lower() not in SUFFIXES:
            raise OutputError(f"--plot {self.plot}: expected a name that ends in {', '.join(SUFFIXES)}")
        if not self.plot.parent.is_dir():
            raise OutputError(f"--plot {self.plot}: no folder {str(self.plot.parent)!r}; name another file")


def print_course(searches: Sequence[SpanSearch], options: SweepOptions) -> int:
    """Say what the shortest and the dearest course would train; the search chooses as answers come."""
    from memspan.cli.estimate import print_estimate
    from memspan.study.span_search import possible_runs
    from memspan.sweep.plan import operations

    def work(runs: Sequence[RunConfig]) -> float:
        return sum(map(operations, runs))

    courses = [sorted(possible_runs(search), key=work) for search in searches]
    fewest, most = (sum(len(course[end]) for course in courses) for end in (0, -1))
    print(f"from {fewest} to about {most} runs, as answers come; the dearest course if seeds agree:")
    return print_estimate([run for course in courses for run in course[-1]], options)


def as_table(spans: Sequence[Span]) -> str:
    """Return the spans as text: a line a recipe, then a line for each of its lengths."""
    lines = [
        "{:24}  {:>6}  {:>5}  {:>9}  {:>18}  {:>18}  {:8}  {:>8}  {:>8}".format(
            "cell", "hidden", "steps", "span50", "95%", "span90 [95%]", "told", "seconds", "FLOP"
        )
    ]
    for span in spans:
        lines.append(_span_line(span))
        lines += _length_lines(span)
    return "\n".join(lines)


def _span_line(span: Span) -> str:
    recipe, known = span.recipe, span.span50
    at_least = "≥ " if known.value == span.longest else ""
    span90 = f"{span.span90.value:g} {_between(span.span90.low, span.span90.high)}"
    return (
        f"{span.cell:24}  {recipe.hidden:>6}  {recipe.steps:>5}  {at_least + format(known.value, 'g'):>9}  "
        f"{_between(known.low, known.high):>18}  {span90:>18}  {span.told:8}  {span.seconds:>8.0f}  "
        f"{span.operations:>8.1e}"
    )


def _length_lines(span: Span) -> list[str]:
    lines = []
    for row in span.rows:
        solved, kept = row.solved, "–" if row.kept is None else f"{row.kept:.2f}"
        reached = "half reached it" if row.reached_step else "fewer than half reached it"
        reached += f" by step {row.reached_step:.0f}" if row.reached_step else ""
        lines.append(
            f"  {row.length:>6}: {round(solved.value * solved.n):>2} of {solved.n:>2} solved "
            f"{_between(solved.low, solved.high, 2)}; {reached}; kept {kept}"
        )
    return lines


def _between(low: float | None, high: float | None, digits: int = 0) -> str:
    return "–" if low is None or high is None else f"[{low:.{digits}f}, {high:.{digits}f}]"


def _draw(spans: Sequence[Span], file: Path) -> None:
    from memspan.report.figures.gate import write_figure
    from memspan.report.figures.span import draw_spans

    try:
        write_figure(draw_spans(spans, [span.cell for span in spans]), file)
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(f"--plot {file}: cannot be written ({reason}); name another file") from None
