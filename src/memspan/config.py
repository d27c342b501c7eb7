"""A run on one frozen page: its task, its recipe and its seed. The hash of that page is its name.

Nothing here imports torch, so a plan of a thousand runs costs milliseconds.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import math
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args, get_origin, get_type_hints

from memspan.cells import CELLS
from memspan.errors import ArgumentError, UnknownNameError
from memspan.tasks import TASKS
from memspan.tasks.task import Task

Init = Literal["xavier_normal", "xavier_uniform", "orthogonal", "identity", "torch"]
Bias = Literal["zero", "forget_one", "chrono", "torch"]
Optimizer = Literal["rmsprop", "adam", "sgd"]


@dataclass(frozen=True)
class Recipe:
    """Everything about a run but its task and seed. The defaults are the report's setting.

    A default never changes: fields at their default are left out of a run's id.
    """

    cell: str = "lstm"
    """Recurrent unit: rnn, gru, lstm or peephole_lstm."""
    hidden: int = 128
    """Hidden units H."""
    nonlinearity: Literal["tanh", "relu"] = "tanh"
    """Activation of the rnn cell."""
    init: Init = "xavier_normal"
    """Initialisation of every weight matrix, each gate's by itself."""
    bias: Bias = "zero"
    """Initialisation of the biases; forget_one and chrono need a forget gate."""
    coding: Literal["scalar", "one_hot"] = "scalar"
    """How a symbol enters the network: its raw value, or one of K unit vectors."""
    optimizer: Optimizer = "rmsprop"
    """Update rule."""
    learning_rate: float = 1e-3
    """Learning rate at step 0."""
    lr_decay: float = 1.0
    """Factor on the learning rate every lr_decay_steps steps."""
    lr_decay_steps: int = 1000
    """Steps between two decays of the learning rate."""
    momentum: float = 0.9
    """Momentum of sgd."""
    clip: float = 10.0
    """Largest gradient norm; 0 turns clipping off."""
    batch: int = 128
    """Sequences in a batch."""
    steps: int = 5000
    """Training steps, the budget."""
    repeat: int = 1
    """How many steps in a row see the same batch (8 in the report, by accident)."""
    recipe_version: int = 1
    """Raised when a change of the code alters results on purpose."""

    def __post_init__(self) -> None:
        CELLS[self.cell]
        _check_fields(self)
        for name in ("hidden", "batch", "steps", "repeat", "lr_decay_steps"):
            _require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        for name in ("learning_rate", "lr_decay"):
            value = getattr(self, name)
            _require(math.isfinite(value) and value > 0, name, value, "a positive number")
        _require(math.isfinite(self.clip) and self.clip >= 0, "clip", self.clip, "0 (off) or positive")
        _require(0 <= self.momentum < 1, "momentum", self.momentum, "in [0, 1)")
        if self.bias in ("forget_one", "chrono") and self.cell not in ("lstm", "peephole_lstm"):
            raise ArgumentError(
                f"bias {self.bias!r} sets a forget gate; cell {self.cell!r} has none, use lstm"
            )
        if self.nonlinearity != "tanh" and self.cell != "rnn":
            raise ArgumentError(f"nonlinearity {self.nonlinearity!r} is for cell 'rnn', not {self.cell!r}")


FREE = ("init", "bias", "learning_rate", "lr_decay", "lr_decay_steps", "momentum", "clip", "repeat")
"""Recipe fields in which the replicas of one pack may differ, beside the seed."""


@dataclass(frozen=True)
class RunConfig:
    """One run: a task at one difficulty, a recipe, a seed.

    Example:
        >>> run = RunConfig.from_flat({"task": "palindrome", "length": 20, "cell": "rnn", "seed": 3})
        >>> run.recipe.cell, run.task.steps, run.id == RunConfig.from_flat(run.flat()).id
        ('rnn', 19, True)
    """

    task: Task
    recipe: Recipe = field(default_factory=Recipe)
    seed: int = 0

    def __post_init__(self) -> None:
        _require(0 <= self.seed < 2**63, "seed", self.seed, "in 0 … 2⁶³ − 1")
        if self.recipe.bias == "chrono" and self.task.steps < 2:
            raise ArgumentError("bias 'chrono' needs sequences of at least 2 inputs; take a longer one")

    def flat(self) -> dict[str, Any]:
        """Return every field by name, one level deep: the columns of a table of runs."""
        difficulty = dataclasses.asdict(self.task)  # type: ignore[call-overload]
        return {"task": self.task.name, **difficulty, **dataclasses.asdict(self.recipe), "seed": self.seed}

    def shape(self) -> tuple[Task, Recipe]:
        """Return what two runs must have in common to be trained in one pack: all but seed and ``FREE``."""
        usual = Recipe()
        return self.task, dataclasses.replace(self.recipe, **{name: getattr(usual, name) for name in FREE})

    def canonical(self) -> str:
        """Return the JSON that is hashed: task, difficulty, seed, and recipe fields not at their default."""
        defaults = {f.name: f.default for f in dataclasses.fields(Recipe)}
        told = {k: v for k, v in self.flat().items() if not (k in defaults and defaults[k] == v)}
        return json.dumps(told, sort_keys=True, separators=(",", ":"), allow_nan=False)

    @functools.cached_property
    def id(self) -> str:
        """The run's name: 16 hexadecimal digits of the hash of its canonical page."""
        return hashlib.sha256(self.canonical().encode()).hexdigest()[:16]

    @classmethod
    def from_flat(cls, values: Mapping[str, Any]) -> RunConfig:
        """Build a run from a flat mapping; missing recipe fields take their default.

        Raises:
            UnknownNameError: a key that is no field of the task, the recipe or the run.
            ArgumentError: a value of the wrong type or outside its range.
        """
        rest = dict(values)
        task_class = TASKS.resolve(rest.pop("task", "palindrome"))
        seed = _coerce("seed", rest.pop("seed", 0), int)
        task_names = {f.name for f in dataclasses.fields(task_class)}
        recipe_names = {f.name for f in dataclasses.fields(Recipe)}
        for name in rest:
            if name not in task_names | recipe_names:
                raise UnknownNameError("field", name, task_names | recipe_names | {"task", "seed"})
        difficulty = _typed(task_class, {k: v for k, v in rest.items() if k in task_names})
        recipe = _typed(Recipe, {k: v for k, v in rest.items() if k in recipe_names})
        missing = task_names - difficulty.keys() - _with_default(task_class)
        if missing:
            raise ArgumentError(f"task {task_class.name!r} needs {', '.join(sorted(missing))}")
        return cls(task_class(**difficulty), Recipe(**recipe), seed)


def _with_default(cls: type) -> set[str]:
    return {f.name for f in dataclasses.fields(cls) if f.default is not dataclasses.MISSING}


def _typed(cls: type, values: Mapping[str, Any]) -> dict[str, Any]:
    hints = get_type_hints(cls)
    return {name: _coerce(name, value, hints[name]) for name, value in values.items()}


def _coerce(name: str, value: Any, kind: Any) -> Any:
    """Return value as kind; an integer may stand for a float, nothing else is converted."""
    if get_origin(kind) is Literal:
        return value
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is int and isinstance(value, float) and value.is_integer():
        return int(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ArgumentError(f"{name}={value!r}: expected {kind.__name__}, got {type(value).__name__}")
    return value


def _check_fields(recipe: Recipe) -> None:
    hints = typing.get_type_hints(type(recipe))
    for f in dataclasses.fields(recipe):
        value, kind = getattr(recipe, f.name), hints[f.name]
        if get_origin(kind) is Literal:
            if value not in get_args(kind):
                raise UnknownNameError(f.name, value, get_args(kind))
        elif _coerce(f.name, value, kind) is not value:
            object.__setattr__(recipe, f.name, _coerce(f.name, value, kind))


def _require(condition: bool, name: str, value: object, expected: str) -> None:
    if not condition:
        raise ArgumentError(f"{name} {value!r}: expected {expected}")
