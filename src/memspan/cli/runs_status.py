"""``memspan runs status``: how far the runs are; at a terminal the table lives while some are trained."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from memspan.cli.runs import open_readonly
from memspan.ledger.records import DONE

if TYPE_CHECKING:
    from memspan.ledger import Ledger

WORDS = ("planned", "running", "interrupted", "finished", "stopped")
REFRESH = 1.0


@dataclass(frozen=True)
class RunsStatus:
    """Count runs by status: running is what a living process trains, interrupted what one has left."""

    out: Path = Path("out")
    """Folder of the ledger."""
    once: bool = False
    """Print one table and end, also at a terminal while runs are trained."""
    json: bool = False
    """Print the counts as JSON."""

    def run(self) -> int:
        """Print a line for each task and cell; at a terminal, again every second until nothing is running."""
        with open_readonly(self.out) as ledger:
            board = Board(ledger)
            if self.json:
                print(json.dumps(board.look().total))
            elif self.once or not sys.stdout.isatty():
                print("\n".join(board.look().lines()))
            else:
                watch(board)
        return 0


class View(NamedTuple):
    """One look at the ledger: for each group counts by status and the share of steps done; damage."""

    groups: dict[str, Counter[str]]
    done: dict[str, float]
    damaged: dict[str, str]

    @property
    def total(self) -> dict[str, int]:
        """Counts over all groups, zeros included."""
        counted: Counter[str] = sum(self.groups.values(), Counter())
        damaged = {"damaged": len(self.damaged)} if self.damaged else {}
        return {word: counted[word] for word in WORDS} | damaged

    def lines(self) -> Iterator[str]:
        """Yield a heading, a line for each group, and the total."""
        yield f"{'':32}" + "".join(f"{word:>13}" for word in (*WORDS, "done"))
        for name, counts in self.groups.items():
            yield self._line(name, counts, f"{self.done[name]:.0%}")
        if len(self.groups) != 1:
            yield self._line("all", self.total, "")
        yield from self.damaged.values()

    @staticmethod
    def _line(name: str, counts: Counter[str] | dict[str, int], done: str) -> str:
        return f"{name:32}" + "".join(f"{counts[word]:>13}" for word in WORDS) + f"{done:>13}"


class Board:
    """Looks at a ledger again and again; a run's config is read once."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.pages: dict[str, tuple[str, int]] = {}
        self.damaged: dict[str, str] = {}

    def look(self) -> View:
        """Return how far every group is now."""
        standings = self.ledger.standings()
        if standings.keys() - self.pages.keys() - self.damaged.keys():
            self._read_pages()
        living = self.ledger.holds.living(i for i, (status, _) in standings.items() if status == "running")
        groups: dict[str, Counter[str]] = defaultdict(Counter)
        steps: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        for run_id, (group, budget) in self.pages.items():
            status, step = standings.get(run_id, ("deleted", 0))
            if status == "deleted":
                continue
            left = status == "running" and run_id not in living
            groups[group]["interrupted" if left else status] += 1
            steps[group][0] += budget if status in DONE else step
            steps[group][1] += budget
        return View(
            dict(groups), {name: part / max(1, whole) for name, (part, whole) in steps.items()}, self.damaged
        )

    def _read_pages(self) -> None:
        found = {
            r.id: (f"{r.config.get('task')} {r.config.get('cell')}", int(r.config.get("steps", 0)))
            for r in self.ledger.intact()
        }
        self.damaged = self.ledger.damaged()
        self.pages = dict(sorted(found.items(), key=lambda item: item[1]))


def watch(board: Board) -> None:
    """Show the table until nothing is running any more, or Ctrl-C."""
    from rich.live import Live
    from rich.text import Text

    def table(view: View) -> Text:
        return Text("\n".join(view.lines()))

    view = board.look()
    with Live(table(view), auto_refresh=False) as live:
        while view.total["running"]:
            time.sleep(REFRESH)
            view = board.look()
            live.update(table(view), refresh=True)
