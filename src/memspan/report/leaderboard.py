"""``docs/leaderboard.md``: memory spans from the ledger, told and untold apart, and what the runs cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

from memspan.config import RunConfig
from memspan.ledger import Ledger
from memspan.study import EXPERIMENTS
from memspan.study.leaderboard import ROWS, TASKS, board_searches
from memspan.study.span import Span, told
from memspan.study.span_search import stored_span
from memspan.sweep.cost import operations

Board = Mapping[tuple[str, str], Span | None]
"""(row, task) → span, None where runs are missing."""
SLICES = (
    *("palindromes", "rates", "chances", "updates", "dips", "matched_pairs", "repetition"),
    *("initialisations", "recipes"),
)
HEAD = """# Leaderboard

How long a recurrent network remembers: *span50*, the longest sequences that at least half of the seeds solve
together with every shorter length asked, with its 95% bootstrap interval over seeds; behind the dot *span90*,
for nine tenths (with ten seeds, nine of ten is a share between 0.60 and 0.98). Rows that were told something
do not share a rank with those that were not. A dash: not yet run.

Every row has {hidden} units and batches of {batch}. Steps: {steps}.
A span with ≥ was solved at the longest length asked: {longest}.

This page is written by `memspan leaderboard`; do not edit it. How a span is found: [span.md](span.md).
"""
COUNTED = (
    "A run that two slices share is counted in both. Minutes are of one core; other work made many longer."
)
KNOWN = {
    "nothing": "Told nothing",
    "T": "Told the length T",
    "cue": "Told where the cue is",
    "T and cue": "Told both",
}


def stored_board(ledger: Ledger) -> Board:
    """Return every span whose runs the ledger holds."""
    return {place: stored_span(search, ledger) for place, search in board_searches().items()}


def leaderboard_page(board: Board, ledger: Ledger) -> str:
    """Return the page as Markdown."""
    usual = ROWS["LSTM"]
    longest = ", ".join(f"{name} {task.longest}" for name, task in TASKS.items())
    steps = ", ".join(f"{name} {task.steps:,}" for name, task in TASKS.items())
    parts = [HEAD.format(hidden=usual.hidden, batch=usual.batch, steps=steps, longest=longest)]
    by_told = sorted(ROWS, key=lambda name: list(KNOWN).index(told(ROWS[name])))
    for known, names in groupby(by_told, key=lambda name: told(ROWS[name])):
        parts.append(f"## {KNOWN[known]}\n\n{_table(board, list(names))}")
    parts.append(f"## What the runs cost\n\n{_slices(board, ledger)}")
    return "\n".join(parts)


def _table(board: Board, names: Sequence[str]) -> str:
    ranked = sorted(names, key=lambda name: -_rank(board[name, "palindrome"]))
    lines = [_line("rank", "recipe", *TASKS, "minutes"), _line(*["---"] * (len(TASKS) + 3))]
    for place, name in enumerate(ranked, start=1):
        spans = [board[name, task] for task in TASKS]
        minutes = sum(span.seconds for span in spans if span) / 60
        rank = str(place) if board[name, "palindrome"] else "–"
        lines.append(_line(rank, name, *map(_place, spans), f"{minutes:.1f}"))
    return "\n".join(lines) + "\n"


def _rank(span: Span | None) -> float:
    return span.span50.value + span.span90.value / 1e6 if span else -1.0


def _place(span: Span | None) -> str:
    if span is None:
        return "–"
    known, least = span.span50, "≥ " if span.span50.value == span.longest else ""
    interval = f" [{known.low:g}, {known.high:g}]" if known.low is not None and known.high is not None else ""
    return f"{least}{known.value:g}{interval} · {span.span90.value:g}"


def _slices(board: Board, ledger: Ledger) -> str:
    """Return a table of slices: runs stored and wanted, their operations and their minutes of training.

    How many runs this page wants depends on their answers: as many as there are.
    """
    lines = [_line("slice", "runs", "wanted", "operations", "minutes"), _line(*["---"] * 5)]
    lines += [_line(name, *_cost(EXPERIMENTS[name].runs, ledger)) for name in SLICES]
    found = [span for span in board.values() if span]
    runs = str(sum(len(span.runs) for span in found))
    work, seconds = sum(span.operations for span in found), sum(span.seconds for span in found)
    lines.append(_line("this page", runs, runs, f"{work:.1e}", f"{seconds / 60:.0f}"))
    return "\n".join(lines) + f"\n\n{COUNTED}\n"


def _cost(runs: Iterable[RunConfig], ledger: Ledger) -> tuple[str, ...]:
    wanted = {run.id: run for run in runs}
    done = [record for id in wanted if (record := ledger.get(id)) is not None and record.done]
    work = sum(operations(wanted[record.id]) for record in done)
    minutes = sum(record.wall_seconds for record in done) / 60
    return str(len(done)), str(len(wanted)), f"{work:.1e}", f"{minutes:.0f}"


def _line(*words: str) -> str:
    return f"| {' | '.join(words)} |"
