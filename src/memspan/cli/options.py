"""Flags that several verbs share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from memspan.errors import ArgumentError

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
    dry_run: bool = False
    """Say how many runs, how much work and about how long, and train nothing."""

    def __post_init__(self) -> None:
        for name in ("workers", "threads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ArgumentError(f"--{name} {value}: expected at least 1")


def seeds_of(text: str) -> list[int]:
    """Read seeds such as ``0-4`` or ``1,3,7-9``.

    Raises:
        ArgumentError: anything else.
    """
    seeds: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdigit() or (dash and not last.isdigit()) or (dash and int(last) < int(first)):
            raise ArgumentError(f"--seeds {text!r}: expected numbers and ranges such as 0-4 or 1,3,7-9")
        seeds += range(int(first), int(last if dash else first) + 1)
    return list(dict.fromkeys(seeds))
