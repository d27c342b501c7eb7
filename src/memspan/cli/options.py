"""Flags that several verbs share."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from memspan.cli.bounds import MOST_PROCESSES
from memspan.errors import ArgumentError

if TYPE_CHECKING:
    from memspan.ledger import Ledger
    from memspan.sweep.engine import Engine

LEDGER = "ledger.sqlite"


@dataclass(frozen=True)
class SweepOptions:
    """How runs are trained; none of these changes a result."""

    out: Path = Path("out")
    """Folder of the ledger and of whatever is made from it."""
    workers: int | None = None
    """Processes; one a core if not given."""
    threads: int | None = None
    """Kernel threads in each process; the cores the processes leave over if not given."""
    kernel: Literal["auto", "reference", "cpu"] = "auto"
    """How cells are unrolled over time."""
    checkpoint_every: float = 20.0
    """Seconds of work that a kill may cost."""
    engine: Literal["local", "ray"] = "local"
    """Where packs are trained: processes on this machine, or a Ray cluster."""
    address: str | None = None
    """Ray cluster to join, auto for the one this machine belongs to; if not given, one on this machine."""
    gpus: float = 0.0
    """Share of a GPU that a pack takes, with --engine ray."""
    dry_run: bool = False
    """Say how many runs, how much work and about how long, and train nothing."""

    def __post_init__(self) -> None:
        for name in ("workers", "threads"):
            value = getattr(self, name)
            if value is not None and not 1 <= value <= MOST_PROCESSES:
                raise ArgumentError(f"--{name} {value}: expected at least 1, at most {MOST_PROCESSES:,}")

        if not self.checkpoint_every > 0:
            raise ArgumentError(f"--checkpoint-every {self.checkpoint_every}: expected seconds above 0")
        if self.engine == "local" and (self.address is not None or self.gpus):
            raise ArgumentError("--address and --gpus are for the Ray engine; add --engine ray")
        if not 0 <= self.gpus < math.inf:
            raise ArgumentError(f"--gpus {self.gpus}: expected a share such as 0.25, or 0 for none")


def engine_of(options: SweepOptions, ledger: Ledger) -> Engine:
    """Return the engine that the flags ask for."""
    if options.engine == "ray":
        from memspan.sweep.cluster import RayEngine

        return RayEngine(
            ledger.files,
            address=options.address,
            workers=options.workers,
            threads=options.threads or 1,
            gpus=options.gpus,
            kernel=options.kernel,
            checkpoint_every=options.checkpoint_every,
        )
    from memspan.sweep.local import LocalEngine

    return LocalEngine(options.workers, options.threads, options.kernel, options.checkpoint_every)
