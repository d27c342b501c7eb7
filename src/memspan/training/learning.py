"""What a pack does with its features: read out, judge, and update, in torch's operators or compiled."""

from __future__ import annotations

import abc
import functools
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

import numpy as np
import torch
from torch import Tensor

from memspan.cells.time_gate.equations import TimeGate
from memspan.config import Optimizer, Recipe, RunConfig
from memspan.kernels.cpu.threads import kernel_threads
from memspan.kernels.reference import ALIGNED, alone
from memspan.models.inputs import Inputs
from memspan.models.sequence import READ_OUT, SequenceModel
from memspan.tasks.palindrome import Palindrome
from memspan.training.answers import Tally, explained, loss_of
from memspan.training.numerics import each
from memspan.training.optimizers import Rule, clip, learning_rate, rule_of

if TYPE_CHECKING:
    from memspan.kernels.cpu.learning import ReadOut, Update
    from memspan.kernels.cpu.round import Round


def spaced(rows: Tensor) -> Tensor:
    """Return rows (R, P) as a view of a wider tensor in which each begins where a tensor of its own would.

    A product's last bit may depend on the address of what it reads: so a replica rounds alike in any pack.
    """
    R, P = rows.shape
    step = ALIGNED // rows.element_size()
    made = rows.new_zeros(R, -(-P // step) * step)[:, :P]
    return made.copy_(rows)


@dataclass
class Rows:
    """R replicas as flat rows of parameters.

    Shapes:
        weights, gradients and every optimiser slot (R, P).
    """

    runs: Sequence[RunConfig]
    model: SequenceModel
    rule: Rule
    weights: Tensor
    gradients: Tensor
    slots: Mapping[str, Tensor]


AT_ONCE = 8
"""Updates applied in one call at most."""
Told = tuple[list[float], list[float], list[float]]
"""Of each replica: its loss, its score, and the norm of its gradient before clipping."""
Batch = tuple[Inputs, Tensor]
"""Inputs of all replicas, and their targets (R, S, B, A)."""


class Learning(abc.ABC):
    """How replicas learn from their features.

    Args:
        rows: read and written in place.
        threads: threads that share the replicas; no result depends on it.
    """

    def __init__(self, rows: Rows, threads: int) -> None:
        self.rows, self.threads, self.task = rows, threads, rows.runs[0].task
        self.weight_of = rows.model.named(rows.weights)
        self.gradient_of = rows.model.named(rows.gradients)

    @property
    def turns(self) -> int:
        """Updates that may go in one call."""
        return 1

    @abc.abstractmethod
    def read_out(self, features: Tensor, targets: Tensor) -> tuple[list[float], list[float], Tensor]:
        """Return the replicas' losses and scores and ∂loss/∂features; write the read-out's gradients.

        Shapes:
            features (R, S, B, H), targets (R, S, B, A).
        """

    @abc.abstractmethod
    def update(self, losses: Sequence[float], t: int) -> list[float]:
        """Clip and apply update t, but to replicas that diverged; return the gradients' norms before."""

    def at_once(self, batches: Sequence[Batch], t: int) -> list[Told] | None:
        """Apply updates t, t + 1, …, one for each batch, in one call; None where that cannot be."""
        return None


class ByTorch(Learning):
    """Every replica by itself in torch's operators: the definition."""

    def read_out(self, features: Tensor, targets: Tensor) -> tuple[list[float], list[float], Tensor]:
        """Differentiate by autograd."""
        d_features = torch.empty_like(features)

        def one(r: int) -> tuple[float, float]:
            state = alone(features, r).requires_grad_()
            head = {name: self.weight_of[name][r].detach().requires_grad_() for name in READ_OUT}
            logits = self.rows.model.logits(head, state, self.rows.runs[r].recipe.temperature)
            loss = loss_of(logits, targets[r], self.task)
            d_features[r], *rest = torch.autograd.grad(loss, [state, *head.values()])
            for name, gradient in zip(READ_OUT, rest, strict=True):
                self.gradient_of[name][r] = gradient
            scores = Tally(self.task).add(logits.detach(), targets[r]).scores()
            return loss.item(), scores["accuracy"]

        losses, scores = zip(*each(one, len(self.rows.runs), self.threads), strict=True)
        return list(losses), list(scores), d_features

    def update(self, losses: Sequence[float], t: int) -> list[float]:
        """Clip, then apply the rule."""

        def one(r: int) -> float:
            recipe, g = self.rows.runs[r].recipe, self.rows.gradients[r]
            norm = clip(g, recipe.clip)
            if np.isfinite(norm) and np.isfinite(losses[r]):
                state = {slot: row[r] for slot, row in self.rows.slots.items()}
                self.rows.rule.update(self.rows.weights[r], g, state, learning_rate(recipe, t), t)
            return norm

        return each(one, len(self.rows.runs), self.threads)


class Compiled(Learning):
    """Each in one compiled call, or a whole update in one: the same numbers but for rounding."""

    def __init__(self, rows: Rows, threads: int) -> None:
        super().__init__(rows, threads)
        self._read_out, self._update = self._parts()
        self._round: Round | None = None
        self._no_round = False  # whether a call of all was tried and cannot be

    def _parts(self, turns: int = 1) -> tuple[ReadOut, Update]:
        from memspan.kernels.cpu.learning import ReadOut, Update

        rows, recipes = self.rows, [run.recipe for run in self.rows.runs]
        weight, bias, d_weight, d_bias = (
            named[name] for named in (self.weight_of, self.gradient_of) for name in READ_OUT
        )
        temperatures, clips = zip(*((recipe.temperature, recipe.clip) for recipe in recipes), strict=True)
        read_out = ReadOut(
            weight, bias, d_weight, d_bias, self.task.answers, self.task.classes, temperatures, turns
        )
        slots = list(rows.slots.values())
        return read_out, Update(
            rows.rule.name, rows.weights, rows.gradients, slots, clips, read_out.losses, turns
        )

    def read_out(self, features: Tensor, targets: Tensor) -> tuple[list[float], list[float], Tensor]:
        """Read out every replica in one call."""
        d_features = self._read_out(features, targets, self.threads)
        losses, right = self._read_out.told()
        return losses, self._scores(losses, right), d_features

    def update(self, losses: Sequence[float], t: int) -> list[float]:
        """Update every replica in one call; the losses are those of the last read-out."""
        return self._update(self._settings(t), self.threads)

    @property
    def turns(self) -> int:
        """Updates that may go in one call: several of one layer without a time gate, asked at the end."""
        cells = self.rows.model.cells
        one = len(cells) == 1 and not isinstance(cells[0], TimeGate)
        never = self._no_round or not one or self.task.due > 1 or self.task.carries
        return 1 if never else AT_ONCE

    def at_once(self, batches: Sequence[Batch], t: int) -> list[Told] | None:
        """Apply all updates without coming back to Python."""
        if self.turns == 1:
            return None
        plain = all(inputs.lengths is None and inputs.resets is None for inputs, _ in batches)
        round_ = self._round if plain else None
        if plain and (round_ is None or round_.shape != batches[0][0].x.shape or round_.turns < len(batches)):
            round_ = self._round = self._round_for(batches)
        self._no_round = round_ is None
        if round_ is None:
            return None
        settings = [self._settings(t + k) for k in range(len(batches))]
        told = round_([(inputs.x, targets) for inputs, targets in batches], settings)
        return [(losses, self._scores(losses, right), norms) for losses, right, norms in told]

    def _round_for(self, batches: Sequence[Batch]) -> Round | None:
        from memspan.kernels.cpu.round import Round

        (cell, *_), (inputs, targets) = self.rows.model.cells, batches[0]
        if not Round.serves(cell, inputs.x, self.weight_of):
            return None
        turns = len(batches)
        with kernel_threads(self.threads):
            return Round(
                cell, self.weight_of, self.gradient_of, *self._parts(turns), inputs.x, targets, turns
            )

    def _settings(self, t: int) -> list[tuple[float, ...]]:
        return [self.rows.rule.numbers(learning_rate(run.recipe, t), t) for run in self.rows.runs]

    def _scores(self, losses: list[float], right: list[float]) -> list[float]:
        return right if self.task.classes else [explained(self.task, loss) for loss in losses]


def compile_ahead() -> None:
    """Let another process compile the read-out while this one has a cell's kernels to compile."""
    from memspan.kernels.cpu import cache, learning

    cache.compile_ahead(learning.NAME, learning.read_out_text)


def learning_for(rows: Rows, threads: int, compiled: bool) -> Learning:
    """Return how replicas learn: compiled where that is asked for and passed its trial on this machine."""
    if not compiled:
        return ByTorch(rows, threads)
    wrong = failure()
    if wrong is None:
        return Compiled(rows, threads)
    warnings.warn(f"read-out and update go through torch: {wrong}", stacklevel=2)
    return ByTorch(rows, threads)


@functools.cache
def failure() -> str | None:
    """Return what is wrong with the compiled code on this machine, or None; see ``kernels/trial.py``."""
    from memspan.kernels import trial
    from memspan.kernels.cpu import learning

    modules = learning.read_out_module(), learning.update_module()
    if trial.passed(*modules):
        return None
    worst = trial.alone(lambda: max(trial_error(rule) for rule in get_args(Optimizer)))
    return trial.judged(worst, *modules)


def trial_error(rule: Optimizer) -> float:
    """Return the largest error of the compiled code on a small problem, over each result's largest number."""
    run = RunConfig(Palindrome(5), Recipe(hidden=20, optimizer=rule, temperature=0.7, clip=1.0))
    found = zip(_results(ByTorch, run), _results(Compiled, run), strict=True)
    errors = [float((b - a).abs().max() / a.abs().max().clamp(min=1e-30)) for a, b in found]
    return math.inf if any(map(math.isnan, errors)) else max(errors)  # max passes over what is no number


def _results(way: type[Learning], run: RunConfig) -> list[Tensor]:
    """Return all that two replicas get from one batch of features."""
    draw = torch.Generator().manual_seed(0)
    model, rule = SequenceModel.of(run), rule_of(run.recipe)
    weights, gradients, *slots = (
        spaced(torch.randn(2, model.parameter_count(), generator=draw, dtype=torch.float32).abs())
        for _ in (0, 0, *rule.slots)
    )
    rows = Rows([run] * 2, model, rule, weights, gradients, dict(zip(rule.slots, slots, strict=True)))
    learner = way(rows, 1)
    features = torch.randn(2, 1, 37, run.recipe.hidden, generator=draw, dtype=torch.float32)
    targets = torch.randint(0, run.task.classes, (2, 1, 37, 1), generator=draw)
    losses, scores, d_features = learner.read_out(features, targets)
    found = [torch.tensor(losses), torch.tensor(scores), d_features, gradients.clone()]
    return [*found, torch.tensor(learner.update(losses, 3)), weights, *slots]
