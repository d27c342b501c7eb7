"""How long does a trained network keep the first digit? It reads a million without a break."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import safetensors.torch
import torch

from memspan.cells.cell import State
from memspan.config import RunConfig
from memspan.models.inputs import as_inputs
from memspan.models.sequence import SequenceModel
from memspan.streams import stream
from memspan.tasks.task import Batch

SHOWN, ROWS, PIECE = 1_000_000, 128, 10_000
MARKS = (10_000, 100_000, SHOWN)
"""Digits after which a network is asked for the first."""


def of_run(run: RunConfig, state: bytes) -> dict[str, float]:
    """Return the share of rows whose first digit a network answers after so many digits.

    Returns:
        ``recalled_10000``, ``recalled_100000``, ``recalled_1000000``, and ``rows``.
    """
    digits = _shown(stream(run.seed, "probe streaming"))
    model = SequenceModel.of(run).in_evaluation()
    p = model.named(safetensors.torch.load(state)["weights"].unsqueeze(0))
    head, recalled = {name: value[0] for name, value in p.items()}, {}
    carried: Sequence[State] | None = None
    for start in range(0, SHOWN, PIECE):
        stop = start + PIECE
        piece = Batch(digits[start:stop], digits[0], np.arange(start, stop, dtype=np.float64))
        with torch.no_grad():
            features, carried = model.read(p, as_inputs([piece], run.task, run.recipe), carried)
        if stop in MARKS:
            answers = model.logits(head, features[0])[0, :, 0].argmax(-1).numpy()
            recalled[f"recalled_{stop}"] = float((answers == digits[0]).mean())
    return recalled | {"rows": float(ROWS)}


def _shown(generator: np.random.Generator) -> np.ndarray:
    """Return all digits but the last of palindromes of 1,000,001, (10⁶, rows)."""
    half = generator.integers(0, 10, size=(SHOWN // 2 + 1, ROWS), dtype=np.int8)
    return np.concatenate([half, half[-2:0:-1]])
