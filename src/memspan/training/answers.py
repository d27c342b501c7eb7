"""What answers are worth: the loss that trains, and the scores that are recorded."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from memspan.models.inputs import stacked
from memspan.tasks.task import Task


def score_names(task: Task) -> tuple[str, ...]:
    """Return the names of held-out numbers: the score, each of several answers', the task's own."""
    each = tuple(f"accuracy_{a + 1}" for a in range(task.answers)) if task.answers > 1 else ()
    return ("accuracy", *each, *task.measures)


def as_targets(targets: list[np.ndarray], task: Task) -> Tensor:
    """Stack one batch's targets a replica as (R, S, B, A)."""
    made = stacked(targets)
    if task.due == 1:
        made = made.unsqueeze(1)
    return made if task.answers > 1 else made.unsqueeze(-1)


def loss_of(logits: Tensor, targets: Tensor, task: Task) -> Tensor:
    """Return cross-entropy, or the squared error of real answers: a mean over rows, a sum over answers.

    Shapes:
        logits (S, B, A, K or 1), targets (S, B, A).
    """
    if not task.classes:
        return (logits.squeeze(-1) - targets).square().mean((0, 1)).sum()
    each = zip(logits.unbind(2), targets.unbind(2), strict=True)
    losses = [functional.cross_entropy(z.reshape(-1, task.classes), y.reshape(-1)) for z, y in each]
    return losses[0] if len(losses) == 1 else torch.stack(losses).sum()


def explained(task: Task, loss: float) -> float:
    """Return the score of a batch of real answers: the share of their variance that this loss leaves."""
    return 1 - loss / task.answers / task.blind_error()


class Tally:
    """Hits, or squared errors, counted over batches."""

    def __init__(self, task: Task) -> None:
        self.task, self.n = task, 0
        self.together, self.each = 0.0, np.zeros(task.answers)

    def add(self, logits: Tensor, targets: Tensor) -> Tally:
        """Count a batch; shapes as in ``loss_of``."""
        self.n += targets.shape[0] * targets.shape[1]
        if self.task.classes:
            right = logits.argmax(-1) == targets
            self.together += int(right.all(-1).sum())
            self.each += right.sum((0, 1)).numpy()
        else:
            self.each += (logits.squeeze(-1) - targets).square().double().sum((0, 1)).numpy()
        return self

    def scores(self) -> dict[str, float]:
        """Return the score, and each answer's where there are several.

        The score is the share of positions at which every answer is right; for real answers, the explained
        share of their variance, averaged over the answers.
        """
        if self.task.classes:
            score, each = self.together / self.n, self.each / self.n
        else:
            each = 1 - self.each / self.n / self.task.blind_error()
            score = float(each.mean())
        several = self.task.answers > 1
        return {"accuracy": score} | {f"accuracy_{a + 1}": float(e) for a, e in enumerate(each) if several}
