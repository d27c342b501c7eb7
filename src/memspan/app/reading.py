"""The tab of the report: every claim with its verdict, and the document itself."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from fastapi import FastAPI
from fastapi.responses import FileResponse, HTMLResponse
from starlette.routing import Route

from memspan.errors import ArgumentError

REPORT, CLAIMS = "report.html", "claims.json"
ADDRESS = "/report"
MISSING = (
    "<p>There is no report in this folder yet. <code>memspan reproduce</code> makes one in about two"
    " minutes; then press <em>Read again</em>.</p>"
)
COLUMNS = ("id", "verdict", "value", "interval", "n", "sentence")
LOOKS = {
    "holds": ("✓", "good"),
    "holds under conditions": ("◐", "half"),
    "does not hold": ("✗", "bad"),
    "not yet run": ("○", "none"),
}
"""Verdict → its sign, so that colour is never the only difference, and its class in the style sheet."""


def claims(folder: Path) -> list[dict[str, Any]]:
    """Return the claims of the report in a folder, none where there is no report."""
    try:
        rows = json.loads((folder / CLAIMS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    known = _sentences()
    return [{"sentence": known.get(row["id"], ""), **row} for row in rows] if isinstance(rows, list) else []


def _sentences() -> dict[str, str]:
    """Return claim → what it says, nothing where the report's own needs are not installed."""
    try:
        from memspan.report.claims import CLAIMS as KNOWN
    except ArgumentError:
        return {}
    return {id: claim.sentence for id, claim in KNOWN.items()}


def show(folder: Path) -> str:
    """Return the claims as a table and the document in a frame, as HTML."""
    rows = claims(folder)
    if not rows or not (folder / REPORT).is_file():
        return MISSING
    head = "".join(f'<th scope="col">{name}</th>' for name in COLUMNS)
    body = "".join(f"<tr>{''.join(_cells(row))}</tr>" for row in rows)
    frame = f'<iframe class="report" src="{ADDRESS}" title="The report"></iframe>'
    table = f'<table class="claims"><thead><tr>{head}</tr></thead>{body}</table>'
    link = f'<p><a href="{ADDRESS}" target="_blank">Open the report in a window of its own</a></p>'
    return f'{link}<div class="scrolls" tabindex="0">{table}</div>{frame}'


def _cells(row: dict[str, Any]) -> list[str]:
    low, high, value = (row.get(name) for name in ("low", "high", "value"))
    word = str(row.get("verdict", ""))
    sign, look = LOOKS.get(word, ("", ""))
    shown = {
        **{name: row.get(name) for name in ("id", "n", "sentence")},
        "verdict": f"{sign} {word}".strip(),
        "value": None if value is None else f"{value:.3g}",
        "interval": None if low is None or high is None else f"{low:.2g} … {high:.2g}",
    }
    looks = {name: f"verdict {look}" if name == "verdict" else name for name in COLUMNS}
    texts = {name: "" if text is None else str(text) for name, text in shown.items()}
    return [f'<td class="{looks[name]}">{escape(texts[name])}</td>' for name in COLUMNS]


def mount(app: FastAPI, folder: Path) -> None:
    """Serve the one file of the report, and nothing else of its folder."""

    async def report(request: Any) -> Any:
        file = folder / REPORT
        return FileResponse(file) if file.is_file() else HTMLResponse(MISSING, status_code=404)

    app.router.routes.insert(0, Route(ADDRESS, report))


def tab(folder: Path) -> None:
    """Build the tab inside the open Blocks."""
    again = gr.Button("Read again", size="sm", elem_id="read-again")
    page = gr.HTML(show(folder), elem_id="report-page")
    again.click(lambda: show(folder), None, page, api_visibility="private")
    gr.api(lambda: claims(folder), api_name="claims")
