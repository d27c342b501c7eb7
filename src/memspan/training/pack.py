"""Runs of equal shape trained in one program: replicas stacked on a leading axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from memspan.config import RunConfig
from memspan.errors import ArgumentError
from memspan.kernels import Choice, choose
from memspan.kernels.unroll import KernelName
from memspan.models.classifier import READ_OUT, SequenceClassifier, as_symbols, correct
from memspan.streams import stream
from memspan.training.numerics import reproducible, torch_threads
from memspan.training.optimizers import clip, learning_rate, rule_of


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
        another in the model's order.

    Args:
        runs: configs of equal ``RunConfig.shape``.
        kernel: see ``memspan.kernels.unroll``.
        threads: threads of the kernel; no result depends on it.
    """

    def __init__(self, runs: Sequence[RunConfig], kernel: KernelName = "auto", threads: int = 1) -> None:
        if len({run.shape() for run in runs}) != 1:
            raise ArgumentError("a pack needs at least one run, all of the same task, cell, sizes and steps")
        self.runs, self.kernel, self.threads = list(runs), kernel, threads
        self.model = SequenceClassifier.of(runs[0])
        self.recurrent = list(self.model.cell.parameter_shapes())
        self.rule = rule_of(runs[0].recipe)
        rows = [self._flatten(self.model.initial(run)) for run in runs]
        self._hold(
            torch.stack(rows), {slot: torch.zeros(len(rows), rows[0].numel()) for slot in self.rule.slots}
        )

    def _flatten(self, values: dict[str, np.ndarray]) -> Tensor:
        return torch.from_numpy(
            np.concatenate([values[name].ravel() for name in self.model.parameter_shapes()])
        )

    def _hold(self, weights: Tensor, slots: dict[str, Tensor]) -> None:
        self.weights, self.slots = weights, slots
        self.gradients = torch.zeros_like(weights)
        self.parameters, self.where = {}, {}
        start = 0
        for name, shape in self.model.parameter_shapes().items():
            self.where[name] = slice(start, start := start + math.prod(shape))
            view = weights[:, self.where[name]].view(len(weights), *shape)
            self.parameters[name] = view.detach().requires_grad_()
        self.heads = [
            {name: self.parameters[name][r].detach().requires_grad_() for name in READ_OUT}
            for r in range(len(weights))
        ]

    def load(self, replica: int, weights: Tensor, slots: dict[str, Tensor]) -> None:
        """Put stored weights and optimiser state in a replica's row."""
        self.weights[replica] = weights
        for slot, value in slots.items():
            self.slots[slot][replica] = value

    def keep(self, replicas: Sequence[int]) -> None:
        """Drop every other replica; those that stay do not notice."""
        rows = list(replicas)
        self.runs = [self.runs[r] for r in rows]
        self._hold(self.weights[rows].clone(), {k: v[rows].clone() for k, v in self.slots.items()})

    def choice(self) -> Choice:
        """Return which kernel serves this pack, and why."""
        return choose(
            self.model.cell, dtype=self.weights.dtype, device=self.weights.device, kernel=self.kernel
        )

    def update(self, t: int) -> list[Outcome]:
        """Apply update number t = 1, 2, … to every replica and return what each showed before it."""
        with reproducible():
            symbols, targets = self._batch("train", t)
            with torch_threads(self.threads):
                h = self.model.last_state(self.parameters, symbols, self.kernel)
            losses, hits, dh = self._head(h.detach(), targets)
            with torch_threads(self.threads):
                gradients = torch.autograd.grad(h, [self.parameters[name] for name in self.recurrent], dh)
            self._collect(gradients)
            return [self._apply(r, losses[r], hits[r] / len(targets[r]), t) for r in range(len(losses))]

    def _batch(self, use: str, t: int) -> tuple[Tensor, Tensor]:
        draws = []
        for run in self.runs:
            step = (t - 1) // run.recipe.repeat
            draws.append(run.task.sample(stream(run.seed, run.task.purpose(use), step), run.recipe.batch))
        return as_symbols([d.inputs for d in draws]), torch.from_numpy(np.stack([d.targets for d in draws]))

    def _head(self, h: Tensor, targets: Tensor) -> tuple[list[float], list[int], Tensor]:
        """Read out, one replica after the other: loss, hits, and ∂loss/∂h (R, B, H)."""
        losses, hits, dh = [], [], torch.empty_like(h)
        for r, head in enumerate(self.heads):
            state = h[r].requires_grad_()
            logits = self.model.logits(head, state)
            loss = functional.cross_entropy(logits, targets[r])
            dh[r], *rest = torch.autograd.grad(loss, [state, *head.values()])
            for name, gradient in zip(head, rest, strict=True):
                self.gradients[r, self.where[name]] = gradient.view(-1)
            losses.append(loss.item())
            hits.append(int(correct(logits.detach(), targets[r])))
        return losses, hits, dh

    def _collect(self, gradients: Sequence[Tensor]) -> None:
        for name, gradient in zip(self.recurrent, gradients, strict=True):
            self.gradients[:, self.where[name]] = gradient.reshape(len(gradient), -1)

    def _apply(self, r: int, loss: float, accuracy: float, t: int) -> Outcome:
        """Clip, and update the replica unless it has diverged; return what it showed, its norm unclipped."""
        recipe, g = self.runs[r].recipe, self.gradients[r]
        outcome = Outcome(loss, accuracy, clip(g, recipe.clip))
        if outcome.finite:
            state = {slot: rows[r] for slot, rows in self.slots.items()}
            self.rule.update(self.weights[r], g, state, learning_rate(recipe, t), t)
        return outcome

    @torch.no_grad()
    def evaluate(self, use: str, t: int, n: int) -> list[float]:
        """Return each replica's accuracy on n freshly drawn sequences after update t."""
        with reproducible():
            draws = [run.task.sample(stream(run.seed, run.task.purpose(use), t), n) for run in self.runs]
            with torch_threads(self.threads):
                h = self.model.last_state(self.parameters, as_symbols([d.inputs for d in draws]), self.kernel)
            return [
                int(correct(self.model.logits(head, h[r]), torch.from_numpy(draws[r].targets))) / n
                for r, head in enumerate(self.heads)
            ]
