"""``memspan.span``: the same search as the command, from Python."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from memspan.config import Recipe
from memspan.errors import UnknownNameError
from memspan.ledger import Ledger
from memspan.study.span import Span
from memspan.study.span_search import SpanSearch, search_span


def span(
    cell: str = "lstm",
    *,
    task: str = "palindrome",
    seeds: Iterable[int] = range(10),
    shortest: int | None = None,
    longest: int | None = None,
    share: float = 0.5,
    resolution: float = 1.15,
    ledger: str | os.PathLike[str] = "out/ledger.sqlite",
    workers: int | None = None,
    **recipe: Any,
) -> Span:
    """Return the memory span of a cell: the longest sequences that half of the seeds solve.

    Runs the ledger holds are not trained again. Training takes processes of its own, so a script needs the
    usual ``if __name__ == "__main__":`` around the call.

    Args:
        cell: a registered cell, or a layer of your own as ``"package.module:Class"``.
        task: a task with an axis of difficulty.
        seeds: that may be spent at a length; it begins with five of them.
        shortest, longest, share, resolution: see ``SpanSearch``.
        ledger: file that keeps every run, made if need be.
        workers: processes; one a core if not given.
        recipe: any field of ``Recipe``, for instance ``steps=2500``.

    Raises:
        UnknownNameError: a name that no table or recipe knows; the message suggests the nearest one.
        ArgumentError: values that cannot be meant.
    """
    from memspan.sweep.local import LocalEngine
    from memspan.sweep.run import sweep

    names = [field.name for field in dataclasses.fields(Recipe) if field.name != "cell"]
    for name in recipe:
        if name not in names:
            raise UnknownNameError("field", name, names)
    wanted = Recipe(cell=cell, **recipe)
    search = SpanSearch(wanted, task, tuple(seeds), shortest, longest, share=share, resolution=resolution)
    Path(ledger).parent.mkdir(parents=True, exist_ok=True)
    with Ledger.open(ledger) as opened:
        return search_span(search, opened, lambda runs: sweep(runs, opened, LocalEngine(workers)))
