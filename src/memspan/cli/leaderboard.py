"""``memspan leaderboard``: the memory span of every cell on every task, as a page."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import tyro

from memspan.cli.options import SweepOptions
from memspan.cli.train import open_ledger, train_missing
from memspan.errors import ArgumentError, OutputError


@dataclass(frozen=True)
class Leaderboard:
    """Search the spans the leaderboard lacks, then write its page from the ledger."""

    page: Path = Path("docs/leaderboard.md")
    """File that is written."""
    tasks: tuple[str, ...] = ()
    """Columns whose missing runs are trained; all of them if none is named."""
    stored: bool = False
    """Train nothing; what is not stored stays a dash."""
    options: tyro.conf.OmitArgPrefixes[SweepOptions] = field(default_factory=SweepOptions)

    def run(self) -> int:
        """Train what is missing, write the page, and name it on stdout."""
        from memspan.study.leaderboard import TASKS, board_searches

        if foreign := [task for task in self.tasks if task not in TASKS]:
            raise ArgumentError(f"--tasks {' '.join(foreign)}: the columns are {', '.join(TASKS)}")
        wanted = self.tasks or tuple(TASKS)
        searches = [search for (_, task), search in board_searches().items() if task in wanted]
        if self.options.dry_run:
            from memspan.cli.span import print_course

            return print_course(searches, self.options)
        if not self.page.parent.is_dir():
            raise OutputError(f"--page {self.page}: no folder {str(self.page.parent)!r}; name another file")
        from memspan.report.leaderboard import leaderboard_page, stored_board
        from memspan.study.span_search import search_spans

        with open_ledger(self.options) as ledger:
            if not self.stored:
                search_spans(searches, ledger, lambda runs: train_missing(runs, ledger, self.options))
            self.page.write_text(leaderboard_page(stored_board(ledger), ledger), encoding="utf-8")
        print(self.page)
        return 0
