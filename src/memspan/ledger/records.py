"""What goes into the ledger and what comes out of it, as frozen pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np

from memspan.errors import ArgumentError

Status = Literal["planned", "running", "finished", "stopped"]
DONE = ("finished", "stopped")


class RunPage(Protocol):
    """What the ledger asks of a run's config: a name, and its fields one level deep."""

    @property
    def id(self) -> str:
        """The hash of the config, the run's only name."""
        ...

    def flat(self) -> dict[str, Any]:
        """Every field by name, JSON values only."""
        ...


@dataclass(frozen=True, eq=False)
class Curve:
    """One measure of a run over its steps.

    Shapes:
        step: int64 (n,), increasing. mean, low, high: float32 (n,); all three equal when bin is 1.

    Args:
        bin: steps that one point stands for; 1 when every measured value is kept.
    """

    step: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    bin: int = 1

    def __len__(self) -> int:
        return len(self.step)


def thin(curve: Curve, bin: int) -> Curve:
    """Return the curve with one point for each ``bin`` steps: mean, minimum, maximum, last step.

    Step s falls into bin (s − 1) // bin, as batch measures are filed under 1 … steps. A curve that
    is thinner already is returned as it is; thinning again weighs the points of a bin equally,
    which is exact where ``bin`` is a multiple of ``curve.bin`` that divides the length.

    Raises:
        ArgumentError: bin below 1.
    """
    if bin < 1:
        raise ArgumentError(f"bin {bin!r}: expected at least 1 step")
    if bin <= curve.bin:
        return curve
    if not len(curve):
        return Curve(curve.step, curve.mean, curve.low, curve.high, bin)
    group = (curve.step - 1) // bin
    starts = np.flatnonzero(np.diff(group, prepend=group[0] - 1))
    ends = np.append(starts[1:], len(group))
    with np.errstate(invalid="ignore"):  # a diverged run may hold inf and -inf in one bin: its mean is NaN
        mean = np.add.reduceat(curve.mean.astype(np.float64), starts) / (ends - starts)
    low, high = np.minimum.reduceat(curve.low, starts), np.maximum.reduceat(curve.high, starts)
    return Curve(curve.step[ends - 1], mean.astype(np.float32), low, high, bin)


class CurveSource(Protocol):
    """Where a record fetches its curves when they are asked for."""

    def curve(self, run_id: str, name: str) -> Curve:
        """Return one curve of one run."""
        ...

    def curve_names(self, run_id: str) -> list[str]:
        """Return the names of a run's curves, sorted."""
        ...


@dataclass(frozen=True)
class RunRecord:
    """One run as the ledger holds it; its curves are read when asked for.

    Args:
        id: the hash of its config.
        config: every field by name, one level deep.
        status: planned, running, finished, or stopped (diverged); the last two are done for good.
        reason: why a stopped run stopped.
        step: the step up to which the ledger holds it.
        metrics: the final numbers.
        facts: kernel, reason of its choice, code version, machine.
        wall_seconds: time spent on the steps that are held.
        imported: whether it came from another ledger's export.
    """

    id: str
    config: Mapping[str, Any]
    status: Status
    reason: str
    step: int
    metrics: Mapping[str, float]
    facts: Mapping[str, str]
    wall_seconds: float
    imported: bool
    source: CurveSource = field(repr=False, compare=False)

    @property
    def done(self) -> bool:
        """Whether the run is finished or stopped, and so never trained again."""
        return self.status in DONE

    def curve(self, name: str) -> Curve:
        """Return one of its curves.

        Raises:
            UnknownNameError: the run has no such curve.
        """
        return self.source.curve(self.id, name)

    def curve_names(self) -> list[str]:
        """Return the names of its curves, sorted."""
        return self.source.curve_names(self.id)


@dataclass(frozen=True)
class Resume:
    """Where a run goes on: the step, and the bytes its checkpoint was given."""

    step: int
    state: bytes = field(repr=False)


@dataclass(frozen=True)
class DoneRun:
    """A finished or stopped run from another ledger, ready to be adopted."""

    id: str
    config: Mapping[str, Any]
    status: Status
    reason: str
    step: int
    metrics: Mapping[str, float]
    facts: Mapping[str, str]
    wall_seconds: float
    curves: Mapping[str, Curve]


@dataclass(frozen=True)
class ImportReport:
    """What became of the runs of an import.

    Args:
        added: how many were missing or unfinished here, and are done now.
        already: how many were done here; what is stored was kept.
        refused: ids of those imported here before with other results; what is stored was kept.
    """

    added: int
    already: int
    refused: tuple[str, ...]


@dataclass(frozen=True)
class Measurement:
    """One repeat of a benchmark: what was measured, the numbers, and on which machine."""

    config: Mapping[str, Any]
    values: Mapping[str, Any]
    machine: Mapping[str, Any]


class DamagedCheckpointWarning(UserWarning):
    """A checkpoint did not match its checksum and was set aside; its run starts again at step 0."""
