"""From a task's batches to what a network reads: codes, the time as a further input, an axis of replicas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from memspan.config import Recipe, RunConfig
from memspan.tasks.task import Batch, Task


@dataclass(frozen=True)
class Inputs:
    """Sequences of R replicas.

    Shapes:
        x: symbols (R, T, B) or real vectors (R, T, B, D). times (T,), (R, T, B) or None; lengths (R, B) or
        None; resets (R, T, B) or None.
    """

    x: Tensor
    times: Tensor | None = None
    lengths: Tensor | None = None
    resets: Tensor | None = None


def width(run: RunConfig) -> int:
    """Return D, the numbers a network reads at each step."""
    task, recipe = run.task, run.recipe
    coded = task.features if not task.symbols else 1 if recipe.coding == "scalar" else task.symbols
    return coded + (recipe.time_input != "none")


def stacked(arrays: Sequence[np.ndarray]) -> Tensor:
    """Return arrays on a new first axis; a single one is not copied."""
    return torch.from_numpy(arrays[0][None] if len(arrays) == 1 else np.stack(arrays))


def as_inputs(batches: Sequence[Batch], task: Task, recipe: Recipe) -> Inputs:
    """Stack one batch a replica, in the recipe's code."""
    return Inputs(
        stacked([_coded(batch, task, recipe) for batch in batches]),
        _times([batch.times for batch in batches]),
        _stacked([batch.lengths for batch in batches]),
        _stacked([batch.resets for batch in batches]),
    )


def _coded(batch: Batch, task: Task, recipe: Recipe) -> np.ndarray:
    """Return one batch as real vectors (T, B, D); plain one-hot symbols stay whole numbers (T, B)."""
    x = batch.inputs
    if task.symbols and recipe.coding == "scalar":
        x = x[..., None].astype(np.float32)
    elif task.symbols and recipe.time_input != "none":
        x = np.eye(task.symbols, dtype=np.float32)[x]
    if recipe.time_input == "none":
        return x
    return np.concatenate([x, _time_column(batch, task, recipe)[..., None]], axis=-1)


def _time_column(batch: Batch, task: Task, recipe: Recipe) -> np.ndarray:
    """Return the further input, (T, B)."""
    T, B = batch.inputs.shape[:2]
    times = np.arange(T, dtype=np.float64) if batch.times is None else batch.times
    times = np.broadcast_to(times if times.ndim == 2 else times[:, None], (T, B))
    if recipe.time_input == "time":
        column = times / task.duration
    elif recipe.time_input == "delta":
        column = np.diff(times, axis=0, prepend=times[:1]) * (task.steps / task.duration)
    else:
        column = np.broadcast_to(np.arange(T)[:, None] == 0, (T, B))
    return column.astype(np.float32)


def _times(times: list[np.ndarray | None]) -> Tensor | None:
    """Return the replicas' timestamps: (T,) where all rows share them, else (R, T, B)."""
    given = [t for t in times if t is not None]
    if given and given[0].ndim == 1 and all(np.array_equal(given[0], t) for t in given):
        return torch.from_numpy(given[0])
    return _stacked(given)


def _stacked(arrays: Sequence[np.ndarray | None]) -> Tensor | None:
    """Return (R, …), or None where there is nothing."""
    given = [array for array in arrays if array is not None]
    return stacked(given) if given else None
