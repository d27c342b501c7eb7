"""``memspan reproduce``: train what a preset needs and write the report."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from memspan.cli.options import LEDGER, SweepOptions
from memspan.cli.train import open_ledger, train_missing
from memspan.errors import ArgumentError, UnknownNameError

if TYPE_CHECKING:
    from memspan.ledger import Ledger
    from memspan.study import Preset


@dataclass(frozen=True)
class Reproduce:
    """Train the runs behind the report's figures and claims, and write the report as a page and a PDF."""

    preset: str = ""
    """quick (a look in minutes), report (the report's setting, one seed) or full (every experiment).
    If not given, quick; full with --only, --list or --from."""
    only: tuple[str, ...] = ()
    """Train and measure no more than these claims, figures or tables need; print their verdicts."""
    list: bool = False
    """Print every id: its sentence, its verdict so far, the command that regenerates it; train nothing."""
    source: Annotated[Path | None, tyro.conf.arg(name="from")] = None
    """Take runs and answers from this folder of results; train nothing."""
    train: bool = True
    """Train what is missing; --no-train asks the runs that the ledger holds, and the equations."""
    publish: Path | None = None
    """Also write the results into this folder: a Parquet file an experiment, answers, verdicts, sha256."""
    options: tyro.conf.OmitArgPrefixes[SweepOptions] = field(default_factory=SweepOptions)

    def run(self) -> int:
        """Train what is missing, write the report, and name its file on stdout."""
        from memspan.study import preset

        whole = preset(self.preset or ("full" if self.only or self.source or self.list else "quick"))
        if self.list:
            return self._print_verdicts(whole)
        wanted = whole.only(self._known()) if self.only else whole
        if self.options.dry_run:
            from memspan.cli.estimate import print_estimate

            return print_estimate(wanted.runs, self.options)
        return self._report(whole, wanted)

    def _report(self, whole: Preset, wanted: Preset) -> int:
        from memspan.report import build_report, check_out

        out = self.options.out / "only" if self.only else self.options.out
        check_out(out)
        with self._evidence(wanted) as ledger:
            if self.only:
                from memspan.report.build import build_parts

                build_parts(ledger, out, preset=whole, ids=self.only)
                return self._print_verdicts(whole, ledger)
            if sys.stderr.isatty():
                print("writing the report …", file=sys.stderr)
            report = build_report(ledger, out, preset=whole.name, runs=self.source is None)
            if self.publish is not None:
                self._publish(ledger, whole, report)
        print(report)
        return 0

    @contextmanager
    def _evidence(self, wanted: Preset) -> Iterator[Ledger]:
        """Give a ledger with everything wanted: published results as they are, or ours after training."""
        if self.source is not None:
            from memspan.report.results import opened_results

            with opened_results(self.source) as ledger:
                yield ledger
            return
        from memspan.probes import measure_missing

        with open_ledger(self.options) as ledger:
            if self.train:
                train_missing(wanted.runs, ledger, self.options)
            measure_missing(wanted.probes, ledger)
            yield ledger

    def _publish(self, ledger: Ledger, whole: Preset, report: Path) -> None:
        from memspan.report.results import VERDICTS, publish

        assert self.publish is not None
        publish(ledger, whole, (report.parent / VERDICTS).read_text(encoding="utf-8"), self.publish)

    def _known(self) -> tuple[str, ...]:
        """Return the ids asked for.

        Raises:
            UnknownNameError: one that nothing in the report has.
            ArgumentError: one that nothing trains or measures, because it is drawn from a formula.
        """
        from memspan.report.listing import ids

        for id in self.only:
            if id not in ids():
                raise UnknownNameError("figure, table or claim", id, ids())
        if self.publish is not None:
            raise ArgumentError("--publish takes a whole preset; leave --only out")
        return self.only

    def _print_verdicts(self, whole: Preset, ledger: Ledger | None = None) -> int:
        """Print a line an id, from the ledger at hand; without one, verdicts are those published."""
        from memspan.ledger import Ledger
        from memspan.report.listing import lines

        if ledger is None and self.source is None and (self.options.out / LEDGER).exists():
            with Ledger.open(self.options.out / LEDGER, readonly=True) as held:
                return self._print_verdicts(whole, held)
        if ledger is None and self.source is not None:
            from memspan.report.results import opened_results

            with opened_results(self.source) as held:
                return self._print_verdicts(whole, held)
        print("\n".join(lines(whole, ledger, self._known() if self.only else ())))
        return 0
