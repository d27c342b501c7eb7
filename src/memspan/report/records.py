"""How the report reads runs: a table is a list of records, and these few questions are asked of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np


class Curve(Protocol):
    """A thinned curve: per bin of steps the mean, the smallest and the largest value."""

    @property
    def step(self) -> np.ndarray: ...  # noqa: D102
    @property
    def mean(self) -> np.ndarray: ...  # noqa: D102
    @property
    def low(self) -> np.ndarray: ...  # noqa: D102
    @property
    def high(self) -> np.ndarray: ...  # noqa: D102


class Record(Protocol):
    """One stored run, as the ledger hands it out."""

    @property
    def id(self) -> str: ...  # noqa: D102
    @property
    def config(self) -> Mapping[str, Any]: ...  # noqa: D102
    @property
    def status(self) -> str: ...  # noqa: D102
    @property
    def reason(self) -> str | None: ...  # noqa: D102
    @property
    def metrics(self) -> Mapping[str, float]: ...  # noqa: D102
    @property
    def facts(self) -> Mapping[str, Any]: ...  # noqa: D102
    def curve(self, name: str) -> Curve: ...  # noqa: D102


Records = Sequence[Record]


def ended(records: Iterable[Record]) -> list[Record]:
    """Return the runs that are over: at their budget, or stopped before it because they diverged."""
    return [r for r in records if r.status in ("finished", "stopped")]


def where(records: Iterable[Record], **config: object) -> list[Record]:
    """Return the runs whose config has these values."""
    return [r for r in records if all(r.config.get(k) == v for k, v in config.items())]


def values(records: Iterable[Record], name: str) -> list[Any]:
    """Return the distinct values of one config field, sorted."""
    return sorted({r.config[name] for r in records if name in r.config})


def by_seed(records: Iterable[Record]) -> dict[int, Record]:
    """Return seed → run.

    Raises:
        ValueError: two runs share a seed, so the table is not one group.
    """
    groups: dict[int, Record] = {}
    for r in records:
        if groups.setdefault(r.config["seed"], r) is not r:
            raise ValueError(f"seed {r.config['seed']} occurs twice in one group of runs")
    return dict(sorted(groups.items()))


def metric(records: Iterable[Record], name: str) -> dict[int, float]:
    """Return seed → one number, for the runs that have it."""
    return {seed: r.metrics[name] for seed, r in by_seed(records).items() if name in r.metrics}
