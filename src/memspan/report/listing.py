"""Every figure, table and claim in a line: what it is, what is known of it, and how to have it again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from memspan.ledger import Ledger
from memspan.report.build import commands
from memspan.report.claims import CLAIMS
from memspan.report.evidence import Evidence
from memspan.report.figures import FIGURES, Panel
from memspan.report.shipped import shipped
from memspan.report.tables import TABLES, Table
from memspan.study import Preset

EXHIBITS: dict[str, Panel | Table] = {**FIGURES, **TABLES}


def ids() -> tuple[str, ...]:
    """Return every id: figures, tables, claims."""
    return (*EXHIBITS, *CLAIMS)


def lines(preset: Preset, ledger: Ledger | None, only: Sequence[str] = ()) -> Iterator[str]:
    """Yield a line an id.

    Args:
        preset: whose runs decide.
        ledger: where they are; None gives the verdicts that were published.
        only: the ids wanted; none means all.
    """
    known = {} if ledger is None else _states(Evidence.of(ledger, preset))
    published = shipped()
    for id in ids():
        if only and id not in only:
            continue
        state = known.get(id) or (published[id].verdict if id in published else "not yet run")
        yield f"{id:<22} {_what(id)}\n{'':<22} {state}; {commands()[id]}"


def _what(id: str) -> str:
    return CLAIMS[id].sentence if id in CLAIMS else EXHIBITS[id].title


def _states(evidence: Evidence) -> dict[str, str]:
    """Return id → a claim's verdict with its number, or how many runs a figure has."""
    found = {}
    for id, verdict in evidence.verdicts.items():
        told = CLAIMS[id].told(verdict) if verdict.value is not None else verdict.detail
        found[id] = f"{verdict.word} ({told})"
    for id, exhibit in EXHIBITS.items():
        shown = evidence.shown(exhibit)
        found[id] = "nothing to show yet" if shown is None else _made_of(exhibit, len(shown))
    return found


def _made_of(exhibit: Panel | Table, count: int) -> str:
    if not exhibit.from_runs:
        return "from the equations"
    return f"from {count} run{'s' * (count != 1)}"
