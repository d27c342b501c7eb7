"""What a run costs, from its page alone: operations, and the memory of a replica."""

from __future__ import annotations

from memspan.config import PHASED, RunConfig

_GATES = {"rnn": 1, "gru": 3}  # others have 4; written here because a cell's class would import torch
WORKER_BYTES = 480 * 2**20
"""A worker before its first pack: interpreter, torch and the compiled kernels."""
_TILE_ROWS = 64  # of ``memspan.kernels.cpu.engine``, which would import torch


def _inputs(run: RunConfig) -> int:
    """Return D, the numbers that enter the first layer at a step, a time included."""
    task, recipe = run.task, run.recipe
    width = task.features if not task.symbols else 1 if recipe.coding == "scalar" else task.symbols
    return width + (recipe.time_input != "none")


def _layers(run: RunConfig) -> list[tuple[int, int]]:
    """Return each layer's inputs, and its rows of weights: gates times units."""
    recipe = run.recipe
    rows = _GATES.get(recipe.cell.removeprefix(PHASED), 4) * recipe.hidden
    return [(recipe.hidden if k else _inputs(run), rows) for k in range(recipe.layers)]


def _answers(run: RunConfig) -> int:
    """Return the numbers of an answer."""
    return max(1, run.task.classes) * run.task.answers


def operations(run: RunConfig) -> float:
    """Return the floating-point operations of a run's products: 3·2·T·B·G·H·(H + D) a step and layer."""
    recipe = run.recipe
    recurrent = sum(rows * (recipe.hidden + inputs) for inputs, rows in _layers(run)) * run.task.steps
    read_out = run.task.due * _answers(run) * recipe.hidden
    return 6.0 * recipe.steps * recipe.batch * (recurrent + read_out)


def _tile_by_tile(run: RunConfig) -> bool:
    """Whether one tile of rows after the other goes forward and back; see ``memspan.kernels.cpu.round``."""
    one = run.recipe.layers == 1 and run.recipe.cell in ("rnn", "gru", "lstm")
    return one and run.task.due == 1 and run.task.symbols > 0 and not run.task.carries


def _kept(run: RunConfig, rows: int) -> int:
    """Return the numbers that the layers keep of so many rows for the way back."""
    each = sum(2 * gates + 3 * run.recipe.hidden + inputs for inputs, gates in _layers(run))
    return rows * run.task.steps * each


def worker_memory(run: RunConfig) -> int:
    """Return about how many bytes a worker needs for runs like this, however many replicas it has."""
    return WORKER_BYTES + 4 * _kept(run, min(run.recipe.batch, _TILE_ROWS)) * _tile_by_tile(run)


def memory(run: RunConfig) -> int:
    """Return about how many bytes a replica adds to that, too many rather than too few.

    Weights with gradient, update and checkpoint; what a step of each layer keeps for the way back, unless a
    tile of rows after the other does; the batch of the final evaluation; the curves.
    """
    recipe, task, layers, answers = run.recipe, run.task, _layers(run), _answers(run)
    weights = sum(rows * (recipe.hidden + inputs + 2) for inputs, rows in layers) + answers * recipe.hidden
    training = 3 * recipe.batch * task.due * answers
    training += 0 if _tile_by_tile(run) else _kept(run, recipe.batch)
    wide = 3 + _inputs(run) + recipe.hidden * (recipe.layers > 1 or task.due > 1)
    evaluation = max(recipe.evaluation_size, recipe.final_size) * (task.steps * wide + task.due * answers)
    return 4 * (8 * weights + training + 2 * evaluation + 6 * recipe.steps)
