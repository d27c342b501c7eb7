"""``memspan runs retry`` and ``runs delete``: the two commands that take results away."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from memspan.cli.options import LEDGER
from memspan.cli.runs import conditions, refuse_without_ledger
from memspan.errors import ArgumentError, UnknownNameError

if TYPE_CHECKING:
    from memspan.ledger import Ledger


@dataclass(frozen=True)
class RunsRetry:
    """Forget what became of runs, so that the next sweep trains them again; asks before a finished one."""

    ids: tyro.conf.Positional[tuple[str, ...]] = ()
    """Ids of runs; without ids and conditions, every stopped run."""
    where: tuple[str, ...] = ()
    """Conditions such as cell=lstm status=stopped."""
    yes: bool = False
    """Do not ask."""
    out: Path = Path("out")
    """Folder of the ledger."""

    def run(self) -> int:
        """Make the runs planned again, and print how many."""
        with _open(self.out) as ledger:
            where = self.where or (() if self.ids else ("status=stopped",))
            chosen = _chosen(ledger, self.ids, where)
            finished = sum(ledger.statuses(chosen)[run_id] == "finished" for run_id in chosen)
            if finished and not self.yes:
                _ask(f"forget the results of {finished} finished runs")
            return _change(ledger, chosen, ledger.retry, "runs will be trained again when a sweep wants them")


@dataclass(frozen=True)
class RunsDelete:
    """Take runs out of the ledger for good, with their curves and states; asks first."""

    ids: tyro.conf.Positional[tuple[str, ...]] = ()
    """Ids of runs."""
    where: tuple[str, ...] = ()
    """Conditions such as cell=lstm length=50; status=damaged takes out what can no longer be read."""
    yes: bool = False
    """Do not ask."""
    out: Path = Path("out")
    """Folder of the ledger."""

    def run(self) -> int:
        """Delete the runs, and print how many."""
        if not self.ids and not self.where:
            raise ArgumentError("which runs? expected ids, or --where with conditions such as cell=lstm")
        with _open(self.out) as ledger:
            if self.where == ("status=damaged",) and not self.ids:
                return _delete_damaged(ledger, self.yes)
            chosen = _chosen(ledger, self.ids, self.where)
            if chosen and not self.yes:
                _ask(f"delete {len(chosen)} runs")
            return _change(ledger, chosen, ledger.delete, "runs deleted")


def _open(out: Path) -> Ledger:
    from memspan.config import RunConfig
    from memspan.ledger import Ledger

    refuse_without_ledger(out)
    return Ledger.open(out / LEDGER, check_id=RunConfig.stored_id)


def _chosen(ledger: Ledger, ids: Sequence[str], where: Sequence[str]) -> list[str]:
    wish = conditions(where) | ({"id": ids} if ids else {})
    chosen = [record.id for record in ledger.intact(**wish)]
    for unknown in set(ids) - set(ledger.standings()):
        raise UnknownNameError("run", unknown, ledger.standings())
    return chosen + [run_id for run_id in ledger.damaged() if run_id in ids]


def _delete_damaged(ledger: Ledger, yes: bool) -> int:
    damaged = ledger.damaged()
    for reason in damaged.values():
        print(reason, file=sys.stderr)
    if damaged and not yes:
        _ask(f"delete {len(damaged)} damaged runs")
    removed = ledger.remove_damaged()
    print(f"{len(removed)} runs deleted")
    return 0 if len(removed) == len(damaged) else 1


def _ask(what: str) -> None:
    """Go on only if the user says so.

    Raises:
        ArgumentError: nobody is there to answer.
        KeyboardInterrupt: the answer is no.
    """
    if not sys.stdin.isatty():
        raise ArgumentError(f"this would {what}, and nobody is there to be asked; add --yes to mean it")
    print(f"{what}? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise KeyboardInterrupt


def _change(ledger: Ledger, chosen: Sequence[str], change: Callable[[list[str]], None], said: str) -> int:
    """Change the runs that nobody alive trains; the exit code is 1 when some were left alone."""
    free = [run_id for run_id in chosen if ledger.holds.take(run_id)]
    change(free)
    ledger.holds.release_all()
    print(f"{len(free)} {said}")
    if len(free) == len(chosen):
        return 0
    print(f"{len(chosen) - len(free)} are being trained by another process and were left alone")
    return 1
