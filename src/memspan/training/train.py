"""The training loop: a pack of runs in, events out."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from memspan import statistics
from memspan.config import RunConfig
from memspan.kernels.unrolling import KernelName
from memspan.ledger import Resume
from memspan.ledger.events import Checkpoint, Event, Finished, Progress, Started, Stopped
from memspan.machine import code_version, summary
from memspan.training.pack import Outcome, Pack
from memspan.training.state import History, pack_state, read_state


class Training:
    """One pack on its way through its steps. ``events`` is the only door.

    Args:
        runs: configs of equal shape.
        resume: run id → stored state; every run of the pack must be at the same step.
        threads, kernel: see ``Pack``.
        checkpoint_every, progress_every: seconds between two checkpoints, two signs of life.
        should_stop: asked after every update or, where several go in one call, after these: as many as take
            no longer than the shorter of the two times above. True ends the training with a checkpoint.
    """

    def __init__(
        self,
        runs: Sequence[RunConfig],
        resume: Mapping[str, Resume] | None = None,
        *,
        threads: int = 1,
        kernel: KernelName = "auto",
        checkpoint_every: float = 20.0,
        progress_every: float = 0.5,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self.pack, self.recipe = Pack(runs, kernel, threads), runs[0].recipe
        self.histories = [History(run) for run in runs]
        self.checkpoint_every, self.progress_every = checkpoint_every, progress_every
        self.should_stop = should_stop
        self.pace = math.inf  # seconds of an update
        self.step = self._load(resume or {})
        self.stored = self.step
        self.saved_at = self.told_at = time.monotonic()

    def _load(self, resume: Mapping[str, Resume]) -> int:
        steps = {resume[run.id].step if run.id in resume else 0 for run in self.pack.runs}
        if len(steps) != 1:
            raise ValueError(f"the runs of a pack must resume at one step, got {sorted(steps)}")
        for r, run in enumerate(self.pack.runs):
            if run.id in resume:
                saved = read_state(resume[run.id].state, resume[run.id].step)
                self.pack.load(r, saved.weights, saved.slots, saved.carried)
                for name, values in saved.curves.items():
                    self.histories[r].values[name][: len(values)] = values
        return steps.pop()

    def events(self) -> Iterator[Event]:
        """Train to the end of the budget, or until asked to stop."""
        budget = self.recipe.steps
        facts = self._facts()
        yield from (Started(run.id, self.step, facts=facts) for run in self.pack.runs)
        while self.step < budget and self.pack.runs:
            yield from self._updates(min(self._next_step(), budget))
            if self.should_stop() and self.step < budget:
                yield from self._checkpoint()
                return
            yield from self._housekeeping()
        if self.pack.runs:
            yield from self._finish()

    def _facts(self) -> dict[str, str]:
        choice = self.pack.choice
        return {
            "kernel": choice.kernel,
            "kernel_reason": choice.reason,
            "code_version": code_version(),
            "machine": summary(),
        }

    def _next_step(self) -> int:
        """Return the step of the next pause: to evaluate, or after as many updates as may go in one call."""
        every, longest = self.recipe.evaluate_every, min(self.checkpoint_every, self.progress_every)
        most = max(1, int(min(self.pack.learning.turns, longest / self.pace)))
        return min(self.step + most, (self.step // every + 1) * every)

    def _updates(self, last: int) -> Iterator[Event]:
        """Apply the updates up to the last, or to where a replica diverges; evaluate if it is time."""
        ended: dict[int, tuple[int, Outcome]] = {}
        began = time.monotonic()
        made = self.pack.updates(self.step + 1, last)
        self.pace = max(1e-9, (time.monotonic() - began) / len(made))
        for outcomes in made:
            self.step += 1
            for r, outcome in enumerate(outcomes):
                if r not in ended:
                    self.histories[r].note(self.step, dataclasses.asdict(outcome))
                    if not outcome.finite:
                        ended[r] = self.step, outcome
        if ended:
            yield from self._drop(ended)
        if self.pack.runs and self.step % self.recipe.evaluate_every == 0:
            found = self.pack.evaluate("evaluate", self.step, self.recipe.evaluation_size)
            for history, scores in zip(self.histories, found, strict=True):
                history.note(self.step, scores)

    def _drop(self, ended: Mapping[int, tuple[int, Outcome]]) -> Iterator[Event]:
        """End the replicas that diverged, with the reason; the others go on."""
        for r, (step, outcome) in ended.items():
            run, history = self.pack.runs[r], self.histories[r]
            yield Stopped(
                run.id,
                step,
                reason=f"diverged at step {step}: {outcome}",
                curves=history.between(self.stored, step),
                metrics=self._summary(r, {"accuracy": math.nan}, step),
                wall_seconds=self._wall(),
            )
        alive = [r for r in range(len(self.pack.runs)) if r not in ended]
        self.histories = [self.histories[r] for r in alive]
        self.pack.keep(alive)

    def _housekeeping(self) -> Iterator[Event]:
        now = time.monotonic()
        if now - self.saved_at >= self.checkpoint_every:
            yield from self._checkpoint()
        elif now - self.told_at >= self.progress_every:
            self.told_at = now
            yield from self._progress()

    def _progress(self) -> Iterator[Event]:
        for run, history in zip(self.pack.runs, self.histories, strict=True):
            recent = history.until("batch_accuracy", self.step)[-20:]
            yield Progress(run.id, self.step, {"batch_accuracy": float(recent.mean())})

    def _checkpoint(self) -> Iterator[Event]:
        for r, run in enumerate(self.pack.runs):
            history = self.histories[r]
            yield Checkpoint(
                run.id,
                self.step,
                curves=history.between(self.stored, self.step),
                state=pack_state(self.pack, r, history, self.step),
                wall_seconds=self._wall(),
            )
        self.stored, self.saved_at = self.step, time.monotonic()

    def _finish(self) -> Iterator[Event]:
        finals = self.pack.evaluate("final", self.step, self.recipe.final_size)
        for r, run in enumerate(self.pack.runs):
            history = self.histories[r]
            yield Finished(
                run.id,
                self.step,
                curves=history.between(self.stored, self.step),
                state=pack_state(self.pack, r, history, self.step),
                metrics=self._summary(r, finals[r], self.step),
                wall_seconds=self._wall(),
            )

    def _summary(self, r: int, final: Mapping[str, float], step: int) -> dict[str, float]:
        run, history = self.pack.runs[r], self.histories[r]
        numbers = statistics.summarise(
            batch_accuracy=history.until("batch_accuracy", step),
            accuracy=history.until("accuracy", step),
            every=run.recipe.evaluate_every,
            gradient_norm=history.until("gradient_norm", step),
            clip=run.recipe.clip,
            solved_at=run.task.solved_at,
            final_accuracy=final["accuracy"],
        )
        others = {name: value for name, value in final.items() if name != "accuracy"}
        return numbers | others | self.pack.clocks(r)

    def _wall(self) -> float:
        """Seconds since the last stored event, shared evenly by the pack's replicas."""
        return (time.monotonic() - self.saved_at) / max(1, len(self.pack.runs))


def train(
    runs: Sequence[RunConfig], resume: Mapping[str, Resume] | None = None, **options: object
) -> Iterator[Event]:
    """Train a pack of runs and yield its events; see ``Training`` for the arguments."""
    return Training(runs, resume, **options).events()  # type: ignore[arg-type]
