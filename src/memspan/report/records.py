"""How the report reads runs: a table is a list of records, and these few questions are asked of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

from memspan.ledger import Curve, Measurement, RunRecord, thin

BIN = 20
"""Steps that one point of a drawn curve stands for; the bin of the shipped results."""
Records = Sequence[RunRecord]
Measurements = Sequence[Measurement]


def ended(records: Iterable[RunRecord]) -> list[RunRecord]:
    """Return the runs that are over: at their budget, or stopped before it because they diverged."""
    return [r for r in records if r.done]


def where(records: Iterable[RunRecord], **config: object) -> list[RunRecord]:
    """Return the runs whose config has these values."""
    return [r for r in records if all(r.config.get(k) == v for k, v in config.items())]


def values(records: Iterable[RunRecord], name: str) -> list[Any]:
    """Return the distinct values of one config field, sorted."""
    return sorted({r.config[name] for r in records if name in r.config})


def joined(records: Iterable[RunRecord], measurements: Measurements, probe: str) -> list[RunRecord]:
    """Return the runs a probe has looked at, its numbers among their metrics; all runs for no probe."""
    if not probe:
        return list(records)
    found = {m.config["run"]: m.values for m in measurements if m.config.get("probe") == probe}
    return [dataclasses.replace(r, metrics={**r.metrics, **found[r.id]}) for r in records if r.id in found]


def by_seed(records: Iterable[RunRecord]) -> dict[int, RunRecord]:
    """Return seed → run.

    Raises:
        ValueError: two runs share a seed, so the table is not one group.
    """
    groups: dict[int, RunRecord] = {}
    for r in records:
        if groups.setdefault(r.config["seed"], r) is not r:
            raise ValueError(f"seed {r.config['seed']} occurs twice in one group of runs")
    return dict(sorted(groups.items()))


def metric(records: Iterable[RunRecord], name: str) -> dict[int, float]:
    """Return seed → one number, for the runs that have it."""
    return {seed: r.metrics[name] for seed, r in by_seed(records).items() if name in r.metrics}


def series(record: RunRecord, name: str) -> list[Any]:
    """Return a list that a probe has joined to a run's numbers."""
    found: Any = record.metrics[name]
    return list(found)


def batch_accuracy(record: RunRecord) -> Curve:
    """Return the thinned curve of batch accuracy, the same whether the run was trained here or imported."""
    return thin(record.curve("batch_accuracy"), BIN)
