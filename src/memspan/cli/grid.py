"""A grid of runs typed as flags: every field of a task and of the recipe may have several values."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import tyro

from memspan.cli.bounds import check_count, values_of
from memspan.cli.names import check_cell, task_class
from memspan.config import Recipe, RunConfig
from memspan.tasks import TASKS

_SHORT = {"learning_rate": ("--lr",)}


def _task_fields() -> dict[str, list[str]]:
    """Return the tasks that have a field, by the field's name."""
    owners: dict[str, list[str]] = {}
    for name in TASKS:
        for field in dataclasses.fields(TASKS.resolve(name)):
            owners.setdefault(field.name, []).append(name)
    return owners


def _flag(name: str, about: str) -> tuple[str, Any, Any]:
    mark = tyro.conf.arg(help=about, aliases=_SHORT.get(name), metavar="A,B|START:STOP:STEP")
    return name, Annotated[str | None, mark], dataclasses.field(default=None)


def _flags() -> list[tuple[str, Any, Any]]:
    tasks = {name: f"Field of {', '.join(owners)}." for name, owners in _task_fields().items()}
    recipe = {field.name: "Field of the recipe." for field in dataclasses.fields(Recipe)}
    return [_flag(name, about) for name, about in {**recipe, **tasks}.items()]


Grid: Any = dataclasses.make_dataclass("Grid", _flags(), frozen=True)
"""One optional text a field of any task or of the recipe; what is not given stays at its default."""


def grid_runs(task: str, grid: object, seeds: Sequence[int]) -> list[RunConfig]:
    """Return the product of all values given, seeds last.

    Raises:
        ArgumentError: a value that cannot be read, a field the task has not, a combination that cannot be,
            or too many of them.
    """
    task_class(task)
    given = {name: text for name, text in vars(grid).items() if text is not None}
    wanted = {name: values_of(f"--{name.replace('_', '-')}", text) for name, text in given.items()}
    for cell in wanted.get("cell", ()):
        check_cell(str(cell))
    check_count(math.prod(map(len, wanted.values())) * len(seeds))
    points = ({"task": task, **point} for point in _product(wanted))
    return [RunConfig.from_flat({**point, "seed": seed}) for point in points for seed in seeds]


def _product(values: Mapping[str, Sequence[Any]]) -> Iterator[dict[str, Any]]:
    for point in itertools.product(*values.values()):
        yield dict(zip(values, point, strict=True))
