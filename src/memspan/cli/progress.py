"""One bar for a whole sweep: runs done, time left, current accuracy. Silent when piped."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence

from memspan.config import RunConfig
from memspan.ledger.events import Checkpoint, Event, Finished, Progress, Started, Stopped
from memspan.sweep.cost import operations


@contextlib.contextmanager
def bar(runs: Sequence[RunConfig]) -> Iterator[Callable[[Event], None]]:
    """Show a bar on stderr while the block runs; yields the listener that moves it.

    Args:
        runs: what will be trained; the bar is weighted by their operations.
    """
    if not sys.stderr.isatty() or not runs:
        yield lambda event: None
        return
    from rich import progress
    from rich.console import Console

    columns = (
        progress.TextColumn("{task.fields[done]}/{task.fields[runs]} runs"),
        progress.BarColumn(),
        progress.TaskProgressColumn(),
        progress.TimeRemainingColumn(),
        progress.TextColumn("{task.fields[now]}"),
    )
    with progress.Progress(*columns, console=Console(stderr=True), speed_estimate_period=120) as display:
        yield _Listener(runs, display)


class _Listener:
    def __init__(self, runs: Sequence[RunConfig], display: object) -> None:
        self.work = {run.id: operations(run) for run in runs}
        self.runs = {run.id: run for run in runs}
        self.part = dict.fromkeys(self.work, 0.0)
        self.done: set[str] = set()
        self.display = display
        self.task = display.add_task(  # type: ignore[attr-defined]
            "", total=sum(self.work.values()), runs=len(runs), done=0, now=""
        )

    def __call__(self, event: Event) -> None:
        run = self.runs.get(event.run_id)
        if run is None:
            return
        self.part[run.id] = event.step / run.recipe.steps
        now: dict[str, object] = {}
        if isinstance(event, Finished | Stopped):
            self.done.add(run.id)
            self.part[run.id] = 1.0
        elif isinstance(event, Progress):
            now["now"] = f"{label(run)}: {event.values['batch_accuracy']:.2f}"
        elif not isinstance(event, Started | Checkpoint):
            return
        completed = sum(share * self.work[key] for key, share in self.part.items())
        self.display.update(  # type: ignore[attr-defined]
            self.task, completed=completed, done=len(self.done), **now
        )


def label(run: RunConfig) -> str:
    """Return a few words that tell a run from its neighbours."""
    difficulty = " ".join(f"{k}={v}" for k, v in vars(run.task).items())
    return f"{run.recipe.cell} {run.task.name} {difficulty} seed={run.seed}"
