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
LARGEST = 4 * 2**20
"""Bytes of a file of claims."""
POLICY = "sandbox allow-popups; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:"
"""What the document may do. It is a file of a folder that may come from anywhere: no scripts, no requests."""
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
    rows = _read(folder / CLAIMS)
    known = _sentences()
    return [{"sentence": known.get(row["id"], ""), **row} for row in rows if _readable(row)]


def _read(file: Path) -> list[Any]:
    """Return the rows of a file of claims; what is no such file has none."""
    try:
        # A FIFO would never end, and a huge file is no report of ours.
        if not file.is_file() or file.stat().st_size > LARGEST:
            return []
        rows = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return []
    return rows if isinstance(rows, list) else []


def _readable(row: Any) -> bool:
    """Return whether a row can be shown: names are text, numbers are finite or missing."""
    return (
        isinstance(row, dict)
        and isinstance(row.get("id"), str)
        and all(isinstance(row.get(name, ""), str) for name in ("verdict", "sentence", "command"))
        and all(_number(row.get(name)) for name in ("value", "low", "high", "n"))
    )


def _number(value: Any) -> bool:
    if value is None:
        return True
    return isinstance(value, int | float) and abs(value) < 1e300  # false for NaN, and for huge integers


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
        headers = {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff"}
        if not file.is_file():
            return HTMLResponse(MISSING, status_code=404, headers=headers)
        return FileResponse(file, media_type="text/html", headers=headers)

    app.router.routes.insert(0, Route(ADDRESS, report))


def tab(folder: Path) -> None:
    """Build the tab inside the open Blocks."""
    again = gr.Button("Read again", size="sm", elem_id="read-again")
    page = gr.HTML(show(folder), elem_id="report-page")
    again.click(lambda: show(folder), None, page, api_visibility="private")

    def listed() -> list[dict[str, Any]]:
        return claims(folder)

    gr.api(listed, api_name="claims")
