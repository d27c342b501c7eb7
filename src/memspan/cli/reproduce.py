"""``memspan reproduce``: train what a preset needs and write the report."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

import tyro

from memspan.cli.options import SweepOptions
from memspan.cli.train import open_ledger, train_missing


@dataclass(frozen=True)
class Reproduce:
    """Train the runs behind the report's figures and claims, and write report.html from them."""

    preset: str = "quick"
    """quick (a look in minutes), report (the report's setting, one seed) or full (ten seeds)."""
    options: tyro.conf.OmitArgPrefixes[SweepOptions] = field(default_factory=SweepOptions)

    def run(self) -> int:
        """Train what is missing, write the report, and name its file on stdout."""
        from memspan.probes import measure_missing
        from memspan.report import build_report, check_out
        from memspan.study import preset

        wanted = preset(self.preset)
        runs = wanted.runs
        if self.options.dry_run:
            from memspan.cli.estimate import print_estimate

            return print_estimate(runs, self.options)
        check_out(self.options.out)
        with open_ledger(self.options) as ledger:
            train_missing(runs, ledger, self.options)
            measure_missing(wanted.probes, ledger)
            if sys.stderr.isatty():
                print("writing the report …", file=sys.stderr)
            report = build_report(ledger, self.options.out, preset=self.preset)
        print(report)
        return 0
