"""What a run draws: its task's batches, a random origin of time if it asks for one, and dropout masks."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from memspan.config import RunConfig
from memspan.streams import stream
from memspan.tasks.task import Batch
from memspan.training.numerics import each

ORIGINS = 4.0
"""A random origin lies up to so many durations after the task's own."""
PIECE = 2**24
"""Largest rows × steps of an evaluation drawn at once."""
LEVELS = 2**16
"""A dropout mask is drawn in 16-bit numbers; a rate is exact to 1/65,536."""


def training_batch(run: RunConfig, t: int) -> Batch:
    """Return the batch of update t = 1, 2, …"""
    step = (t - 1) // run.recipe.repeat
    batch = run.task.batch(run.seed, "train", step, run.recipe.batch)
    if run.recipe.time_origin == "zero":
        return batch
    return _moved(batch, run, stream(run.seed, run.task.purpose("train origin"), step))


def fresh_batches(run: RunConfig, use: str, t: int, n: int) -> Iterator[Batch]:
    """Return n fresh sequences after update t, in pieces that fit into memory."""
    generator = stream(run.seed, run.task.purpose(use), t)
    origins = stream(run.seed, run.task.purpose(f"{use} origin"), t)
    rows = max(1, PIECE // run.task.steps)
    for start in range(0, n, rows):
        batch = run.task.sample(generator, min(rows, n - start))
        yield batch if run.recipe.time_origin == "zero" else _moved(batch, run, origins)


def _moved(batch: Batch, run: RunConfig, origins: np.random.Generator) -> Batch:
    """Let every row's time begin at its own random origin."""
    T, B = batch.inputs.shape[:2]
    times = np.arange(T, dtype=np.float64) if batch.times is None else batch.times
    times = times if times.ndim == 2 else times[:, None]
    moved = times + origins.uniform(0, ORIGINS * run.task.duration, size=B)
    return dataclasses.replace(batch, times=moved)


def dropout_masks(
    runs: Sequence[RunConfig], steps: int, rows: int, t: int, threads: int = 1
) -> list[Tensor | None]:
    """Return what the outputs of each layer but the last are multiplied by in update t.

    Kept outputs are divided by the share that is kept. A mask belongs to (seed, layer, update).

    Args:
        threads: threads that draw; no mask depends on it.

    Returns:
        (R, T, B, H) a layer; None where no replica drops anything.
    """
    layers = runs[0].recipe.layers - 1
    if not any(run.recipe.dropout for run in runs):
        return [None] * layers
    masks = torch.empty(layers, len(runs), steps, rows, runs[0].recipe.hidden)

    def draw(k: int) -> None:
        layer, r = divmod(k, len(runs))
        _mask(masks[layer, r].numpy(), runs[r], layer, t)

    each(draw, layers * len(runs), threads)
    return list(masks.unbind(0))


def _mask(mask: np.ndarray, run: RunConfig, layer: int, t: int) -> None:
    """Fill one replica's mask."""
    rate = run.recipe.dropout
    if not rate:
        mask.fill(1)
        return
    drawn = stream(run.seed, f"dropout layer {layer}", t).integers(LEVELS, size=mask.shape, dtype=np.uint16)
    np.multiply(drawn >= round(rate * LEVELS), np.float32(1 / (1 - rate)), out=mask)
