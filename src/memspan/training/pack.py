"""Runs of equal shape trained in one program: replicas stacked on a leading axis."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from memspan.cells.cell import State
from memspan.config import RunConfig
from memspan.errors import ArgumentError
from memspan.kernels import COMPILED
from memspan.kernels.cpu.threads import kernel_threads
from memspan.kernels.reference import alone
from memspan.kernels.unrolling import KernelName
from memspan.models.build import model_of
from memspan.models.inputs import Inputs, as_inputs
from memspan.models.sequence import READ_OUT
from memspan.tasks.task import Batch
from memspan.training.answers import Tally, as_targets
from memspan.training.batches import dropout_masks, fresh_batches, training_batch
from memspan.training.clocks import frozen, spread
from memspan.training.learning import Rows, Told, compile_ahead, learning_for, spaced
from memspan.training.numerics import reproducible, torch_threads
from memspan.training.optimizers import rule_of
from memspan.training.reader import Reader

AT_ONCE_BYTES = 2**19
"""Bytes that the batches of one call may have, so that none takes long."""


@dataclass
class Outcome:
    """What one update of one replica showed, measured before the update."""

    loss: float
    batch_accuracy: float
    gradient_norm: float

    @property
    def finite(self) -> bool:
        """Whether training can go on."""
        return math.isfinite(self.loss) and math.isfinite(self.gradient_norm)

    def __str__(self) -> str:
        return f"loss {self.loss:.3g}, gradient norm {self.gradient_norm:.3g}"


class Pack:
    """Weights and optimiser state of R replicas, and the step that updates them.

    Shapes:
        weights and every optimiser slot (R, P): one flat row a replica, its parameters one after
        another in the model's order. carried: a layer's state each, every part (R, B, H); empty where no
        batch goes on from the one before it.

    Args:
        runs: configs of equal ``RunConfig.shape``.
        kernel: see ``memspan.kernels.unroll``; ``choice`` says which one serves, and why.
        threads: threads of the kernel; no result depends on it.
    """

    def __init__(self, runs: Sequence[RunConfig], kernel: KernelName = "auto", threads: int = 1) -> None:
        if len({run.shape() for run in runs}) != 1:
            raise ArgumentError("a pack needs at least one run, all of the same task, cell, sizes and steps")
        self.runs, self.kernel = list(runs), kernel
        self.task = runs[0].task
        self.model = model_of(runs[0])
        self.threads = threads if self.model.cells else 1  # only our kernels' bits know no threads
        self.rule = rule_of(runs[0].recipe)
        rows = spaced(torch.stack([self._flatten(self.model.initial(run)) for run in runs]))
        if kernel != "reference" and self.model.cells:
            compile_ahead()
        self.choice = self.model.choice(rows, kernel)
        self.carried = self._beginning(rows) if self.task.carries else ()
        self._hold(rows, {slot: spaced(torch.zeros_like(rows)) for slot in self.rule.slots})

    def _flatten(self, values: dict[str, np.ndarray]) -> Tensor:
        return torch.from_numpy(
            np.concatenate([values[name].ravel() for name in self.model.parameter_shapes()])
        )

    def _beginning(self, rows: Tensor) -> tuple[State, ...]:
        shape = len(rows), self.runs[0].recipe.batch
        return tuple(cell.initial_state(*shape, like=rows) for cell in self.model.cells)

    def _hold(self, weights: Tensor, slots: dict[str, Tensor]) -> None:
        self.weights, self.slots = weights, slots
        self.parameters = self.model.named(weights)
        self.frozen = [frozen(self.model, run.recipe.clock_learned) for run in self.runs]
        rows = Rows(self.runs, self.model, self.rule, weights, spaced(torch.zeros_like(weights)), slots)
        self.learning = learning_for(rows, self.threads, self._compiled)

    def load(
        self, replica: int, weights: Tensor, slots: Mapping[str, Tensor], carried: Sequence[Tensor] = ()
    ) -> None:
        """Put stored weights, optimiser state and carried state in a replica's row."""
        self.weights[replica] = weights
        for slot, value in slots.items():
            self.slots[slot][replica] = value
        for part, value in zip(self.carried_parts(), carried, strict=True):
            part[replica] = value

    def carried_parts(self) -> list[Tensor]:
        """Return every part of the carried state, (R, B, H) each, layer by layer."""
        return [part for state in self.carried for part in state]

    def keep(self, replicas: Sequence[int]) -> None:
        """Drop every other replica; those that stay do not notice."""
        rows = list(replicas)
        self.runs = [self.runs[r] for r in rows]
        self.carried = tuple(tuple(part[rows].clone() for part in state) for state in self.carried)
        self._hold(spaced(self.weights[rows]), {k: spaced(v[rows]) for k, v in self.slots.items()})

    def update(self, t: int) -> list[Outcome]:
        """Apply update number t = 1, 2, … to every replica and return what each showed before it."""
        return self.updates(t, t)[0]

    def updates(self, first: int, last: int) -> list[list[Outcome]]:
        """Apply updates first … last, several in one call where that can be; return what each showed.

        They end early where a replica diverges: its loss or gradient is not finite, and it is not updated.
        """
        shown: list[list[Outcome]] = []
        while (t := first + len(shown)) <= last:
            with reproducible():
                batches = self._batches(t, last)
                told = self.learning.at_once(batches, t) or [self._apart(*batches[0], t)]
            shown += ([Outcome(*one) for one in zip(*each, strict=True)] for each in told)
            if not all(outcome.finite for outcomes in shown for outcome in outcomes):
                break
        return shown

    def _apart(self, inputs: Inputs, targets: Tensor, t: int) -> Told:
        """Apply update t walk by walk; return what ``at_once`` does."""
        T, B = inputs.x.shape[1:3]
        with self._threads():
            made = self.model.record(
                self.parameters,
                inputs,
                self.carried or None,
                due=self.task.due,
                masks=dropout_masks(self.runs, T, B, t, self.threads),
                kernel=self.kernel,
            )
        losses, scores, d_features = self.learning.read_out(made.features, targets)
        with self._threads():
            self._collect(made.back(d_features))
        if self.carried:
            self.carried = made.state
        return losses, scores, self.learning.update(losses, t)

    def _threads(self) -> contextlib.AbstractContextManager[None]:
        """Return what gives the unrolling its threads: the kernel's own, or torch's for its loops."""
        return kernel_threads(self.threads) if self._compiled else torch_threads(self.threads)

    @property
    def _compiled(self) -> bool:
        """Whether our kernels serve this pack."""
        return self.choice.kernel in COMPILED

    def _batches(self, first: int, last: int) -> list[tuple[Inputs, Tensor]]:
        """Return the batches of updates first … last, or of the first few of them.

        After a walk the caches are cold, and the first batch costs several times what the next ones do.
        """
        inputs, targets = self._batch(first)
        room = AT_ONCE_BYTES // (inputs.x.nbytes + targets.nbytes)
        last = min(last, first + max(1, min(self.learning.turns, room)) - 1)
        return [(inputs, targets), *(self._batch(t) for t in range(first + 1, last + 1))]

    def _batch(self, t: int) -> tuple[Inputs, Tensor]:
        return self._tensors([training_batch(run, t) for run in self.runs])

    def _tensors(self, batches: Sequence[Batch]) -> tuple[Inputs, Tensor]:
        inputs = as_inputs(batches, self.task, self.runs[0].recipe)
        return inputs, as_targets([batch.targets for batch in batches], self.task)

    def _collect(self, gradients: Mapping[str, Tensor]) -> None:
        for name, gradient in gradients.items():
            self.learning.gradient_of[name].copy_(gradient)
        for r, names in enumerate(self.frozen):
            for name in names:
                self.learning.gradient_of[name][r] = 0

    @torch.no_grad()
    def evaluate(self, use: str, t: int, n: int) -> list[dict[str, float]]:
        """Return each replica's held-out numbers after update t: the task's own, or on n fresh sequences."""
        with reproducible():
            own = [self.task.measure(self.reader(r), use, run.seed, t) for r, run in enumerate(self.runs)]
            if all(numbers is not None for numbers in own):
                return own  # type: ignore[return-value]
            tallies = [Tally(self.task) for _ in self.runs]
            pieces = zip(*(fresh_batches(run, use, t, n) for run in self.runs), strict=True)
            for batches in pieces:
                self._tally(tallies, batches)
            return [tally.scores() for tally in tallies]

    def _tally(self, tallies: Sequence[Tally], batches: Sequence[Batch]) -> None:
        inputs, targets = self._tensors(batches)
        with torch_threads(self.threads):
            h = self.model.in_evaluation().read(
                self.parameters, inputs, due=self.task.due, kernel=self.kernel
            )[0]
        for r, run in enumerate(self.runs):
            head = {name: self.parameters[name][r] for name in READ_OUT}
            tallies[r].add(self.model.logits(head, alone(h, r), run.recipe.temperature), targets[r])

    def clocks(self, replica: int) -> dict[str, float]:
        """Return how a replica's clocks spread before training and now; nothing without gates."""
        start = self._flatten(self.model.initial(self.runs[replica]))
        before, now = (self.model.named(w) for w in (start, self.weights[replica]))
        return spread(self.model, before, "start") | spread(self.model, now, "end")

    def reader(self, replica: int) -> Reader:
        """Return a replica for its task to ask; see ``memspan.tasks.task.Read``."""
        mine = {name: value[replica : replica + 1] for name, value in self.parameters.items()}
        return Reader(self.runs[replica], self.model, mine, self.kernel, self.threads)
