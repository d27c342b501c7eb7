"""What a table of the report is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from memspan.report.records import Records

Row = dict[str, Any]


@dataclass(frozen=True)
class Table:
    """One table of the report.

    Args:
        id: its name in files and on the page, for instance ``"tab1"``.
        title: what it shows, in a few words.
        rows: runs → rows, each a mapping from column to text or number; no rows, no table.
        claims: ids of the claims it bears on; their verdicts stand beside it.
        note: what a reader should know about it, under the table.
        probe: a probe of trained runs; its numbers join each run's metrics.
        from_runs: whether it shows runs; if not, it is made without any.
    """

    id: str
    title: str
    rows: Callable[[Records], Sequence[Row]]
    claims: tuple[str, ...] = ()
    note: str = ""
    probe: str = ""
    from_runs: bool = True
