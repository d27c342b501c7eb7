"""``memspan bench sweep``: small runs on one core, on all, and the same training without an engine."""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memspan.bench.apart import alone
from memspan.cli.bench import OUT
from memspan.config import Recipe, RunConfig
from memspan.errors import ArgumentError
from memspan.machine import cores, machine
from memspan.tasks.palindrome import Palindrome


@dataclass(frozen=True)
class BenchSweep:
    """Time a sweep of small runs on one core and on all, and the bare loop on each; ten minutes."""

    runs: int = 200
    """Runs of the sweep: half rnn, half lstm, of 32 units on palindromes of 10 digits."""
    steps: int = 500
    """Training steps of each run."""
    turns: int = 3
    """How often every side is timed, one after the other, forwards and backwards; medians count."""
    ray: bool = False
    """Time the Ray engine on this machine too."""
    busy: bool = False
    """Measure although other processes use this machine; the page says how much."""
    out: Path = OUT
    """Folder of sweep.json and sweep.md."""
    json: bool = False
    """Print JSON."""

    def run(self) -> int:
        """Measure, write record and page, and print it."""
        if self.runs < 2 or self.steps < 1 or self.turns < 1:
            wish = f"--runs {self.runs} --steps {self.steps} --turns {self.turns}"
            raise ArgumentError(f"{wish}: expected at least 2, 1 and 1")
        from memspan.bench.timing import Watch, refuse_if_busy

        if not self.busy:
            refuse_if_busy()
        watch = Watch()
        found = _findings(self.runs, self.steps, self.turns, self.ray) | {"foreign_cores": watch.foreign()}
        record = json.dumps(found, indent=1)
        self.out.mkdir(parents=True, exist_ok=True)
        (self.out / "sweep.json").write_text(record + "\n", encoding="utf-8")
        (self.out / "sweep.md").write_text(page(found), encoding="utf-8")
        print(record if self.json else page(found))
        return 0


def small_runs(n: int, steps: int) -> list[RunConfig]:
    """Return n runs in two shapes, each as long as the other."""
    recipes = [Recipe(cell=cell, hidden=32, batch=32, steps=steps) for cell in ("rnn", "lstm")]
    return [RunConfig(Palindrome(10), recipes[k % 2], k // 2) for k in range(n)]


def _findings(n: int, steps: int, turns: int, ray: bool) -> dict[str, Any]:
    _bare(2, 1, processes=1)  # kernels are compiled before the first clock starts
    sides: dict[str, Callable[[], None]] = {
        "bare": lambda: _bare(n, steps, processes=1),
        "one_core": lambda: _sweep(n, steps, 1),
        "all_cores": lambda: _sweep(n, steps, cores()),
        "bare_all_cores": lambda: _bare(n, steps, processes=cores()),
    }
    if ray:
        sides["ray"] = lambda: _sweep(n, steps, cores(), ray=True)
    every: dict[str, list[float]] = {side: [] for side in sides}
    for turn in range(turns):  # a machine is not equally fast for minutes on end: turns, not blocks
        for side in list(sides)[:: -1 if turn % 2 else 1]:
            began = time.perf_counter()
            sides[side]()
            every[side].append(round(time.perf_counter() - began, 2))
    seconds = {side: statistics.median(taken) for side, taken in every.items()}

    def ratio(side: str, other: str) -> float:
        return statistics.median(one / two for one, two in zip(every[side], every[other], strict=True))

    return {
        "runs": n,
        "steps": steps,
        "packs": len(_packs(n, steps)),
        "seconds": {side: round(taken, 1) for side, taken in seconds.items()},
        "every_turn": every,
        "speedup": round(ratio("one_core", "all_cores"), 3),
        "bare_speedup": round(ratio("bare", "bare_all_cores"), 3),
        "overhead": round(ratio("one_core", "bare") - 1, 4),
        "runs_per_core_hour": round(3600 * n / seconds["bare"]),
        "machine": machine(),
    }


def _sweep(n: int, steps: int, workers: int, ray: bool = False) -> None:
    """Do a whole sweep, from planning to the last result on the disk."""
    from memspan.cli.options import LEDGER, SweepOptions, engine_of
    from memspan.ledger import Ledger
    from memspan.sweep.run import sweep

    wanted = small_runs(n, steps)
    with tempfile.TemporaryDirectory() as folder, Ledger.open(Path(folder, LEDGER)) as ledger:
        options = SweepOptions(workers=workers, threads=1, engine="ray" if ray else "local")
        sweep(wanted, ledger, engine_of(options, ledger))


def _packs(n: int, steps: int) -> list[tuple[RunConfig, ...]]:
    """Return the packs of the one-core sweep."""
    from memspan.sweep.plan import packs

    return packs(small_runs(n, steps), {}, workers=1)


def _bare(n: int, steps: int, processes: int) -> None:
    """Train the packs of the one-core sweep in processes that know nothing of each other."""
    with ThreadPoolExecutor(processes) as pool:
        for done in [
            pool.submit(alone, "memspan.cli.bench_sweep:train_bare", n, steps, first, processes)
            for first in range(processes)
        ]:
            done.result()


def train_bare(n: int, steps: int, first: int, every: int) -> None:
    """Train one in so many of the packs of the one-core sweep and keep nothing."""
    from memspan.training.train import train

    for group in _packs(n, steps)[first::every]:
        for _ in train(group, threads=1):
            pass


def page(found: dict[str, Any]) -> str:
    """Return the page for a record."""
    seconds, about = found["seconds"], found["machine"]
    ray = f"| the same, Ray engine | {seconds['ray']} |\n" if "ray" in seconds else ""
    foreign, turns = found["foreign_cores"], len(found["every_turn"]["bare"])
    return f"""# How a sweep keeps the cores busy

Written by `memspan bench sweep` on {about["processor"]}, {about["cores"]} cores.
{found["runs"]} runs of {found["steps"]} steps in {found["packs"]} packs (32 units, batch 32, T = 10);
medians of {turns} turns, the sides in each one after the other, forwards and backwards;
ratios are taken within a turn.

| | seconds |
|---|---|
| the training loop alone: one process, no engine, nothing stored | {seconds["bare"]} |
| the same, its packs shared out to {about["cores"]} processes | {seconds["bare_all_cores"]} |
| sweep, one worker | {seconds["one_core"]} |
| sweep, {about["cores"]} workers | {seconds["all_cores"]} |
{ray}
Throughput of {about["cores"]} cores over one: **{found["speedup"]:.2f}** (target 1.8 on 2 cores);
processes that know nothing of each other gain {found["bare_speedup"]:.2f} here.
Engine overhead, one worker over the training loop alone: **{found["overhead"]:.1%}** (target 3%).
Every side starts its processes, imports torch and loads its kernels within the time told.
Other processes used {"an unknown number of" if foreign is None else foreign} cores meanwhile.
"""
