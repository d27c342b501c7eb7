"""What a training says while it runs. The ledger keeps these and knows no network.

``wall_seconds`` is the time since the run's last stored event, its share of a pack's.
Curves travel inside ``Checkpoint``, ``Finished`` and ``Stopped`` only, so that what the ledger
holds of a run always ends exactly where a checkpoint does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Piece:
    """A stretch of one curve on a regular grid.

    Args:
        first: step of the first value; step s is the state after s updates, batch measures of
            update s are filed under s (1 … steps).
        stride: steps between two values.
        values: float32 (n,).
    """

    first: int
    stride: int
    values: np.ndarray


Pieces = Mapping[str, Piece]


@dataclass(frozen=True)
class Staged:
    """A state that its worker has put on the ledger's disk itself, so that the bytes need not travel.

    Args:
        path: a whole file in ``CheckpointFolder.staging``; the ledger moves it to its place.
        sha256: the hash of its content.
    """

    path: Path
    sha256: str


@dataclass(frozen=True)
class Event:
    """Something that happened to one run at one step."""

    run_id: str
    step: int


@dataclass(frozen=True)
class Started(Event):
    """Training begins or resumes at ``step``; facts: kernel, reason, code version, machine."""

    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Progress(Event):
    """A sign of life for the progress bar; never stored."""

    values: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Checkpoint(Event):
    """All that is needed to go on from ``step``, and every curve since the last checkpoint."""

    curves: Pieces = field(default_factory=dict)
    state: bytes | Staged = b""
    wall_seconds: float = 0.0


@dataclass(frozen=True)
class Finished(Event):
    """The budget is spent; metrics are the final numbers, state is what a longer run would go on from."""

    curves: Pieces = field(default_factory=dict)
    state: bytes | Staged = b""
    metrics: Mapping[str, float] = field(default_factory=dict)
    wall_seconds: float = 0.0


@dataclass(frozen=True)
class Stopped(Event):
    """The run ended before its budget, for instance by divergence; reason says why."""

    reason: str = ""
    curves: Pieces = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    wall_seconds: float = 0.0
