"""What a figure of the report is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from matplotlib.figure import Figure


@dataclass(frozen=True)
class Panel:
    """One figure of the report.

    Args:
        id: its name in files and on the page, for instance ``"fig1a"``.
        title: what it shows, in a few words.
        described: what a reader who cannot see it should know about how it is drawn.
        draw: table → Figure.
        claims: ids of the claims it bears on; their verdicts stand beside it.
        from_runs: whether it shows runs; if not, it is drawn without any.
        probe: whose numbers it shows: those of a probe of trained runs join each run's metrics; with
            ``from_runs`` false, ``draw`` gets the measurements of a probe, or of a benchmark by this name, in
            the place of runs.
    """

    id: str
    title: str
    described: str
    draw: Callable[..., Figure]
    claims: tuple[str, ...]
    from_runs: bool = True
    probe: str = ""
