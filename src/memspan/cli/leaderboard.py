"""``memspan leaderboard``: the memory span of every cell on every task, as a page."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import tyro

from memspan.cli.options import SweepOptions
from memspan.cli.train import open_ledger, train_missing
from memspan.errors import OutputError


@dataclass(frozen=True)
class Leaderboard:
    """Search the spans the leaderboard lacks, then write its page from the ledger."""

    page: Path = Path("docs/leaderboard.md")
    """File that is written."""
    stored: bool = False
    """Train nothing; what is not stored stays a dash."""
    options: tyro.conf.OmitArgPrefixes[SweepOptions] = field(default_factory=SweepOptions)

    def run(self) -> int:
        """Train what is missing, write the page, and name it on stdout."""
        from memspan.study.leaderboard import board_searches

        searches = list(board_searches().values())
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
