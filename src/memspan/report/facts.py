"""What the page says of how the runs were made, and of those that were not."""

from __future__ import annotations

from memspan.ledger import RunRecord
from memspan.report.records import Records, ended
from memspan.study import Preset

FACTS = ("kernel", "code_version", "machine")
"""The same three that an export keeps."""
MOST = 3


def facts(records: Records) -> dict[str, str]:
    """Return what is known of kernels, versions and machines, every distinct value once, a few of many."""
    found = {name: sorted({str(r.facts[name]) for r in records if r.facts.get(name)}) for name in FACTS}
    return {name.replace("_", " "): _some(texts) for name, texts in found.items() if texts}


def _some(texts: list[str]) -> str:
    more = f"; and {len(texts) - MOST} more" if len(texts) > MOST else ""
    return "; ".join(texts[:MOST]) + more


def unfinished(records: Records, preset: Preset) -> list[str]:
    """Say which runs stopped before their budget and how many are missing."""
    said = [
        f"{r.config['cell']}, {_difficulty(r)}, seed {r.config['seed']}: {r.reason or 'stopped'}."
        for r in records
        if r.status == "stopped"
    ]
    missing = len(preset.runs) - len(ended(records))
    return [*said, f"{missing} of {len(preset.runs)} runs are not over yet."] if missing else said


def _difficulty(record: RunRecord) -> str:
    length = record.config.get("length")
    return str(record.config["task"]) if length is None else f"T = {length}"
