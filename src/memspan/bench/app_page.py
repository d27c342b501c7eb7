"""The page of the app's benchmark, and the JSON it is drawn from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from memspan.bench.findings import as_text, write_whole
from memspan.bench.timing import BUSY

FILE, PAGE = "app.json", "app.md"
COMMAND = "memspan bench app"

HOW = """\
`memspan app` in a process of its own, beside an empty folder, seen by a headless Chromium through
playwright. The times between an event (a real key, a real click) and what it changes are taken inside the
page: from the event's own time stamp to `performance.now()` in a `MutationObserver` that was there before.
The first click of a start comes as soon as the page shows its charts, while the server still imports torch
and loads the shipped model and its kernel (or compiles it, if the code is new to this machine); once that
text is written the server is warm. The other clicks and keys follow in the last start, one after the other.
Medians count."""


def write(found: dict[str, Any], folder: Path) -> Path:
    """Write JSON and page, and return the page's path."""
    write_whole(folder, FILE, as_text(found))
    write_whole(folder, PAGE, page(found))
    return folder / PAGE


def page(found: dict[str, Any]) -> str:
    """Return the page as Markdown."""
    facts = "\n".join(f"* {name}: {value}" for name, value in found["machine"].items())
    head = "| a visitor waits | median | target | n | least … most |\n|---|--:|--:|--:|--:|"
    rows = "\n".join(_row(row) for row in found["rows"])
    return f"""# What a visitor of the app waits for

Written by `{COMMAND}`; do not edit.

{HOW}

## Machine

{facts}

## Waits

{head}
{rows}

{_load(found["foreign_cores"])}
"""


def _row(row: dict[str, Any]) -> str:
    unit, every = row["unit"], row["every"]
    target = "" if row["target"] is None else f"{row['target']} {unit}"
    spread = f"{_number(min(every))} … {_number(max(every))}"
    return f"| {row['what']} | **{_number(row['median'])} {unit}** | {target} | {len(every)} | {spread} |"


def _number(value: float) -> str:
    return f"{value:.3g}" if value < 100 else f"{value:,.0f}"


def _load(cores: float | None) -> str:
    if cores is None:
        return "How many cores others used is not known on this system."
    warning = " These times are theirs too." if cores > BUSY else ""
    return f"Before the starts other processes used up to {cores} cores.{warning}"
