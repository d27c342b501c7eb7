"""``memspan bench app``: what a visitor of the app waits for, in a real browser."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from memspan.cli.bench import OUT


@dataclass(frozen=True)
class BenchApp:
    """Time the app in a headless Chromium: start, slider to curve, first character; about a minute.

    Needs the app's own packages, playwright, and the system's Chromium.
    """

    quick: bool = False
    """One start and few repeats: a look."""
    busy: bool = False
    """Measure although other processes use this machine; the page says how much."""
    out: Path = OUT
    """Folder of app.json and app.md."""
    json: bool = False
    """Print JSON."""

    def run(self) -> int:
        """Measure, write record and page, and print one of them."""
        from memspan.bench.app import check, measure
        from memspan.bench.app_page import FILE, write
        from memspan.bench.timing import refuse_if_busy

        check()
        if not self.busy:
            refuse_if_busy()
        path = write(measure(1, 2, 2) if self.quick else measure(), self.out)
        print((self.out / FILE if self.json else path).read_text(encoding="utf-8"), end="")
        return 0
