"""One replica for its task to ask: numpy in, numpy out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from memspan.config import RunConfig
from memspan.kernels.unrolling import KernelName
from memspan.models.inputs import as_inputs
from memspan.models.sequence import SequenceModel
from memspan.tasks.task import Batch
from memspan.training.numerics import torch_threads


@dataclass(frozen=True)
class Reader:
    """A network in evaluation, without gradients; see ``memspan.tasks.task.Read``.

    Args:
        run: says how inputs are coded.
        model: equations and sizes.
        parameters: name → (1, …).
        kernel, threads: as in ``Pack``.
    """

    run: RunConfig
    model: SequenceModel
    parameters: Mapping[str, Tensor]
    kernel: KernelName = "auto"
    threads: int = 1

    @torch.no_grad()
    def __call__(
        self,
        inputs: np.ndarray,
        state: Any = None,
        times: np.ndarray | None = None,
        lengths: np.ndarray | None = None,
        resets: np.ndarray | None = None,
    ) -> tuple[np.ndarray, Any]:
        """Return the logits of every position, (T, B, K) or (T, B, A, K), and the state to go on from."""
        batch = Batch(inputs, np.empty(0), times, lengths, resets)
        given = as_inputs([batch], self.run.task, self.run.recipe)
        with torch_threads(self.threads):
            reading = self.model.in_evaluation().read(
                self.parameters, given, state, due=len(inputs), kernel=self.kernel
            )
        head = {name: value[0] for name, value in self.parameters.items()}
        logits = self.model.logits(head, reading.features[0], self.run.recipe.temperature)
        return (logits if self.model.answers > 1 else logits.squeeze(2)).numpy(), reading.state
