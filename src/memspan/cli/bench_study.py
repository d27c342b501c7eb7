"""``memspan bench study``: a slice of the report's study, and of the same as per-gate Python loops.

Both sides run as two processes of one thread each, in turns. Every run of the preset gets a few updates,
after as many that do not count; the study's time is the sum of their means, times a run's updates, shared
by the processes. The medians of the turns are told, and that of the ratios of neighbouring turns with its
95% interval.
"""

from __future__ import annotations

import json
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memspan.cli.bench import OUT
from memspan.errors import ArgumentError

PROCESSES, TURNS = 2, 9


@dataclass(frozen=True)
class BenchStudy:
    """Time a slice of the report's study, and the same written as per-gate Python loops in torch."""

    updates: int = 16
    """Updates of each run in a turn."""
    preset: str = "report"
    """Whose runs: quick, report or full."""
    busy: bool = False
    """Measure although other processes use this machine."""
    out: Path = OUT
    """Folder of the page that memspan bench kernels writes."""
    json: bool = False
    """Print JSON."""

    def run(self) -> int:
        """Measure, add the result to the page, and print it."""
        if self.updates < 1:
            raise ArgumentError(f"--updates {self.updates}: expected at least 1")
        from memspan.study import preset

        steps = [run.recipe.steps for run in preset(self.preset).runs]
        from memspan.bench.findings import Findings
        from memspan.bench.page import SENTENCES, write_page
        from memspan.bench.timing import refuse_if_busy

        found = Findings.read(self.out)
        if not self.busy:
            refuse_if_busy()
        found.others["study"] = self._measure(steps)
        found.write(self.out)
        write_page(found, self.out)
        print(json.dumps(found.others["study"]) if self.json else SENTENCES["study"](found.others["study"]))
        return 0

    def _measure(self, steps: list[int]) -> dict[str, Any]:
        from memspan.bench.timing import ratio_interval

        taken: dict[str, list[float]] = {"ours": [], "plain": []}
        for _ in range(TURNS):
            for side, minutes in taken.items():
                minutes.append(self._minutes(side, steps))
        mine, theirs = (statistics.median(minutes) for minutes in taken.values())
        ratio = statistics.median(b / a for a, b in zip(*taken.values(), strict=True))
        low, high = ratio_interval(taken["plain"], taken["ours"]) or (None, None)
        return {
            "preset": self.preset,
            "runs": len(steps),
            "updates": self.updates,
            "turns": TURNS,
            "ours_minutes": round(mine, 2),
            "plain_minutes": round(theirs, 1),
            "ratio": ratio,
            "ratio_low": low,
            "ratio_high": high,
        }

    def _minutes(self, side: str, steps: list[int]) -> float:
        """Return the minutes the whole study would take a side, both processes at work."""
        from memspan.bench.apart import alone

        def one(_: int) -> list[float]:
            where = "memspan.cli.bench_study:update_seconds"
            return alone(where, side, self.preset, self.updates)

        with ThreadPoolExecutor(PROCESSES) as pool:
            each = [statistics.mean(pair) for pair in zip(*pool.map(one, range(PROCESSES)), strict=True)]
        return sum(n * seconds for n, seconds in zip(steps, each, strict=True)) / PROCESSES / 60


def update_seconds(side: str, preset_name: str, updates: int) -> list[float]:
    """Return the mean seconds of one update of every run of a preset, on one thread."""
    import torch

    from memspan.bench.per_gate import Training
    from memspan.study import preset
    from memspan.training.pack import Pack

    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    means = []
    for run in preset(preset_name).runs:
        updates_of = Pack([run]).updates if side == "ours" else Training(run).updates
        updates_of(1, updates)
        began = time.perf_counter()
        updates_of(updates + 1, 2 * updates)
        means.append((time.perf_counter() - began) / updates)
    return means
