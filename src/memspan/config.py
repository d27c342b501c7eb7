"""A run on one frozen page: its task, its recipe and its seed. The hash of that page is its name.

Nothing here imports torch, so a plan of a thousand runs costs milliseconds.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from memspan.cells import CELLS
from memspan.errors import ArgumentError, UnknownNameError, shown
from memspan.fields import check_fields, coerce, require, typed, with_default
from memspan.tasks import TASKS
from memspan.tasks.task import Task

Init = Literal["xavier_normal", "stacked_xavier_normal", "xavier_uniform", "orthogonal", "identity", "torch"]
Bias = Literal["zero", "forget_one", "chrono", "torch"]
Optimizer = Literal["rmsprop", "adam", "sgd"]
TimeInput = Literal["none", "time", "delta", "first"]
Learned = Literal["all", "none", "period", "shift", "open_ratio"]
PHASED = "phased_"
"""What the names of cells with a time gate begin with."""


@dataclass(frozen=True)
class Recipe:
    """Everything about a run but its task and seed. The defaults are the report's setting.

    A default never changes: fields at their default are left out of a run's id.
    """

    cell: str = "lstm"
    """Recurrent unit: rnn, gru, lstm, peephole_lstm; with a time gate phased_rnn, phased_gru, phased_lstm."""
    hidden: int = 128
    """Hidden units H of every layer."""
    layers: int = 1
    """Cells stacked, each reading the outputs of the one below."""
    biases: int = 1
    """Bias vectors a gate: 1 as in the report, or 2 as in torch."""
    dropout: float = 0.0
    """Share of a layer's outputs dropped before the next layer, in training."""
    temperature: float = 1.0
    """T by which the network divides its logits, in training and evaluation."""
    nonlinearity: Literal["tanh", "relu"] = "tanh"
    """Activation of the rnn cell."""
    init: Init = "xavier_normal"
    """Initialisation of every weight matrix, each gate's by itself; stacked_…: all gates' as one."""
    bias: Bias = "zero"
    """Initialisation of the biases; forget_one and chrono need a forget gate."""
    chrono_longest: int = 0
    """T that chrono prepares for, at least 3; 0: the length of the task's sequences, so that the recipe
    knows it."""
    input_scale: float = 1.0
    """Factor on the initial weights of the first layer's inputs."""
    recurrent_scale: float = 1.0
    """Factor on the initial recurrent weights; above 1 a state saturates on what it is shown first."""
    coding: Literal["scalar", "one_hot"] = "scalar"
    """How a symbol enters the network: its raw value, or one of K unit vectors."""
    time_input: TimeInput = "none"
    """A further input: the time as a share of the task's duration, the time since the last event in mean
    gaps, or 1 at the first step and 0 after it."""
    time_origin: Literal["zero", "random"] = "zero"
    """Where time begins: as the task says, or for every sequence uniform on 0 … 4 durations later."""
    leak: float = 0.001
    """α of a time gate while training; in evaluation it is 0."""
    clock_low: float = math.e
    """Shortest initial period of a time gate, in the task's unit of time."""
    clock_high: float = math.e**3
    """Longest initial period; periods are log-uniform between the two."""
    clock_shift: Literal["uniform", "first_event"] = "uniform"
    """Initial shifts: uniform on a period, or so that every first opening peaks at time 0."""
    clock_ratio: float = 0.05
    """Initial open ratio of every unit."""
    clock_window_low: float = 0.0
    """Shortest initial opening in the task's unit of time, in place of one open ratio; 0: the ratio."""
    clock_window_high: float = 0.0
    """Longest initial opening; openings are uniform between the two."""
    clock_learned: Learned = "all"
    """Which of a clock's parameters are trained."""
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
    evaluate_every: int = 100
    """Steps between two evaluations on fresh sequences."""
    evaluation_size: int = 1024
    """Sequences of an evaluation while training."""
    final_size: int = 4096
    """Sequences of the evaluation at the end."""
    recipe_version: int = 1
    """Raised when a change of the code alters results on purpose."""

    def __post_init__(self) -> None:
        CELLS[self.cell]
        check_fields(self)
        for name in _COUNTS:
            require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        for name in _POSITIVE:
            value = getattr(self, name)
            require(math.isfinite(value) and value > 0, name, value, "a positive number")
        require(math.isfinite(self.clip) and self.clip >= 0, "clip", self.clip, "0 (off) or positive")
        longest = self.chrono_longest
        require(longest == 0 or longest >= 3, "chrono_longest", longest, "at least 3, or 0 for the task's")
        require(self.biases in (1, 2), "biases", self.biases, "1 or 2")
        for name in ("momentum", "dropout"):
            require(0 <= getattr(self, name) < 1, name, getattr(self, name), "in [0, 1)")
        self._check_clocks()
        self._check_cell()

    @classmethod
    def from_stored(cls, values: object, trust: Collection[str] = ()) -> Recipe:
        """Build a recipe from what a file says; see ``RunConfig.from_stored``."""
        fields = _object(values, "recipe")
        CELLS.check_stored(fields.get("cell", cls.cell), trust)
        names = {f.name for f in dataclasses.fields(cls)}
        for name in fields:
            if name not in names:
                raise UnknownNameError("field", name, names)
        return cls(**typed(cls, fields))

    def _check_clocks(self) -> None:
        require(0 <= self.leak <= 1, "leak", self.leak, "0 … 1")
        require(0 < self.clock_ratio <= 1, "clock_ratio", self.clock_ratio, "above 0 and at most 1")
        require(self.clock_low <= self.clock_high, "clock_low", self.clock_low, "at most clock_high")
        low, high = self.clock_window_low, self.clock_window_high
        window = low == high == 0 or (0 < low <= high and math.isfinite(high))
        require(window, "clock_window_low", low, "0 with clock_window_high 0, or above 0 up to that")

    def _check_cell(self) -> None:
        """Refuse options that the cell does not have."""
        inner = self.cell.removeprefix(PHASED)
        forgets = inner in ("lstm", "peephole_lstm") or ":" in inner  # a cell by its path is asked later
        if self.bias in ("forget_one", "chrono") and not forgets:
            raise ArgumentError(
                f"bias {self.bias!r} sets a forget gate; cell {self.cell!r} has none, use lstm"
            )
        if self.nonlinearity != "tanh" and inner != "rnn":
            raise ArgumentError(f"nonlinearity {self.nonlinearity!r} is for cell 'rnn', not {self.cell!r}")


_COUNTS = (
    *("hidden", "layers", "batch", "steps", "repeat", "lr_decay_steps"),
    *("evaluate_every", "evaluation_size", "final_size"),
)
_POSITIVE = (
    *("learning_rate", "lr_decay", "temperature", "clock_low", "clock_high"),
    *("input_scale", "recurrent_scale"),
)
FREE = (
    *("init", "bias", "learning_rate", "lr_decay", "lr_decay_steps", "momentum", "clip", "repeat"),
    *("dropout", "temperature", "clock_low", "clock_high", "clock_shift", "clock_ratio"),
    *("clock_window_low", "clock_window_high", "clock_learned"),
    *("input_scale", "recurrent_scale", "chrono_longest"),
)
"""Recipe fields in which the replicas of one pack may differ, beside the seed."""


_DEFAULTS = {f.name: f.default for f in dataclasses.fields(Recipe)}


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
        require(0 <= self.seed < 2**63, "seed", self.seed, "in 0 … 2⁶³ − 1")
        if self.recipe.bias == "chrono" and not self.recipe.chrono_longest and self.task.steps < 2:
            raise ArgumentError("bias 'chrono' needs sequences of at least 2 inputs; take a longer one")

    def flat(self) -> dict[str, Any]:
        """Return every field by name, one level deep: the columns of a table of runs."""
        difficulty = dataclasses.asdict(self.task)  # type: ignore[call-overload]
        return {"task": self.task.name, **difficulty, **dataclasses.asdict(self.recipe), "seed": self.seed}

    def shape(self) -> tuple[Task, Recipe]:
        """Return what two runs must have in common to be trained in one pack: all but seed and ``FREE``."""
        usual = Recipe()
        return self.task, dataclasses.replace(self.recipe, **{name: getattr(usual, name) for name in FREE})

    @staticmethod
    def stored_id(flat: Mapping[str, Any]) -> str:
        """Return the id that a stored flat config has.

        Computed from its names and values alone: no cell and no task is looked up, so a config of whatever
        origin may be given.
        """
        told = {k: v for k, v in flat.items() if k not in _DEFAULTS or _DEFAULTS[k] != v}
        text = json.dumps(told, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

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
    def from_stored(cls, values: object, trust: Collection[str] = ()) -> RunConfig:
        """Build a run from a config that a file gives: a ledger, a Parquet file, a saved model.

        Anybody may have written it. It names registered cells and tasks only; nothing is imported for it,
        and no file is opened.

        Args:
            values: what the file says, flat.
            trust: import paths of cells and tasks of your own that it may name.

        Raises:
            UntrustedNameError: another import path.
            ArgumentError: no such config, or one that is found by reading a file.
        """
        flat = _object(values, "config")
        task = flat.get("task", "palindrome")
        TASKS.check_stored(task, trust)
        CELLS.check_stored(flat.get("cell", Recipe.cell), trust)
        for name in TASKS.resolve(task).pinned:
            if not flat.get(name):
                raise ArgumentError(f"the config has no {name}; a stored config of task {task!r} needs it")
        return cls.from_flat(flat)

    @classmethod
    def from_flat(cls, values: Mapping[str, Any]) -> RunConfig:
        """Build a run from a flat mapping, as a person writes it; missing fields take their default.

        Cells and tasks may be import paths, and a text is opened to find its hash: for what comes from a
        file there is ``from_stored``.

        Raises:
            UnknownNameError: a key that is no field of the task, the recipe or the run.
            ArgumentError: a value of the wrong type or outside its range.
        """
        rest = dict(values)
        task_class = TASKS.resolve(rest.pop("task", "palindrome"))
        if not hasattr(task_class, "__dataclass_fields__"):
            raise ArgumentError(
                f"task {task_class.__name__} is no dataclass; decorate it like a built-in one"
            )
        seed = coerce("seed", rest.pop("seed", 0), int)
        task_names = {f.name for f in dataclasses.fields(task_class)}
        recipe_names = {f.name for f in dataclasses.fields(Recipe)}
        for name in rest:
            if name not in task_names | recipe_names:
                raise UnknownNameError("field", name, task_names | recipe_names | {"task", "seed"})
        difficulty = typed(task_class, {k: v for k, v in rest.items() if k in task_names})
        recipe = typed(Recipe, {k: v for k, v in rest.items() if k in recipe_names})
        missing = task_names - difficulty.keys() - with_default(task_class)
        if missing:
            raise ArgumentError(f"task {task_class.name!r} needs {', '.join(sorted(missing))}")
        return cls(task_class(**difficulty), Recipe(**recipe), seed)


def _object(values: object, kind: str) -> dict[str, Any]:
    """Return what a file gives as names and values.

    Raises:
        ArgumentError: something else.
    """
    if not isinstance(values, Mapping) or not all(isinstance(name, str) for name in values):
        raise ArgumentError(f"a {kind} is an object of names and values; got {shown(values)}")
    return dict(values)
