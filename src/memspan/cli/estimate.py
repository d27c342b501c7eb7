"""``--dry-run``: how many runs, how much work, and about how long here, measured just now."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from memspan.cli.bounds import check_memory
from memspan.cli.options import LEDGER, SweepOptions
from memspan.config import RunConfig
from memspan.ledger import Ledger
from memspan.machine import cores
from memspan.sweep.cost import operations
from memspan.sweep.local import LocalEngine
from memspan.sweep.plan import missing, packs

if TYPE_CHECKING:
    from memspan.kernels.unrolling import KernelName


def print_estimate(runs: Sequence[RunConfig], options: SweepOptions) -> int:
    """Print the estimate and return exit code 0; nothing is trained or written."""
    check_memory(runs, options.engine)
    left, reached = list(runs), dict[str, int]()
    if (options.out / LEDGER).exists():
        with Ledger.open(options.out / LEDGER, readonly=True) as ledger:
            left = missing(runs, ledger)
            reached = ledger.checkpointed(run.id for run in left)
    work = sum(map(operations, left))
    print(f"{len(runs)} runs wanted, {len(runs) - len(left)} stored, {len(left)} to train")
    print(f"{work:.2g} floating-point operations in {sum(run.recipe.steps for run in left)} steps")
    if left:
        workers = options.workers or cores()
        groups = packs(left, reached, workers=workers, room=LocalEngine(workers).room)
        print(f"{len(groups)} packs of at most {max(map(len, groups))} runs")
        seconds = _seconds(left, options.kernel) / min(workers, len(left))
        print(f"about {_spoken(seconds)} with {workers} workers, from a few steps measured just now")
    return 0


def _seconds(runs: Sequence[RunConfig], kernel: KernelName) -> float:
    """Predict one core's seconds: for each cell, a line through its cheapest and its dearest step."""
    total = 0.0
    for cell in sorted({run.recipe.cell for run in runs}):
        mine = [run for run in runs if run.recipe.cell == cell]
        short, long = (pick(mine, key=_step_operations) for pick in (min, max))
        quick, slow = _step_seconds(short, kernel), _step_seconds(long, kernel)
        more = _step_operations(long) - _step_operations(short)
        slope = max(0.0, slow - quick) / more if more else 0.0
        total += sum(
            run.recipe.steps * (quick + slope * (_step_operations(run) - _step_operations(short)))
            for run in mine
        )
    return total * 1.04  # evaluations: 1,024 sequences forward every 100 steps


def _step_operations(run: RunConfig) -> float:
    return operations(run) / run.recipe.steps


def _step_seconds(run: RunConfig, kernel: KernelName) -> float:
    from memspan.training.pack import Pack

    pack, times = Pack([run], kernel), []
    for t in range(1, 9):
        began = time.perf_counter()
        pack.update(t)
        times.append(time.perf_counter() - began)
    return sorted(times[2:])[len(times[2:]) // 2]


def _spoken(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"
