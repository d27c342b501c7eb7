"""The verdicts that come with the package, to stand beside a preview."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources
from typing import Any


@dataclass(frozen=True)
class Shipped:
    """A verdict of the published report."""

    id: str
    verdict: str
    value: float | None
    low: float | None
    high: float | None
    n: int | None
    told: str = ""
    command: str = ""


def shipped() -> dict[str, Shipped]:
    """Return id → verdict of the published report; nothing where none has been published yet."""
    file = resources.files("memspan.report") / "shipped.json"
    if not file.is_file():
        return {}
    rows: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
    return {row["id"]: Shipped(**row) for row in rows}
