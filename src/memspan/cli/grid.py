"""A grid of runs typed as flags: every field of a task and of the recipe may have several values."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any

import tyro

from memspan.config import Recipe, RunConfig
from memspan.errors import ArgumentError
from memspan.tasks import TASKS

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_RANGE = re.compile(rf"({_NUMBER}):({_NUMBER})(?::({_NUMBER}))?")
_SHORT = {"learning_rate": ("--lr",)}


def value_of(text: str) -> Any:
    """Return what a word on the command line stands for: a number, true or false, or itself."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def values_of(flag: str, text: str) -> list[Any]:
    """Read ``a,b,c`` and ranges ``start:stop:step``, the end included where a step lands on it.

    Raises:
        ArgumentError: an empty place, or a range that holds nothing.

    Example:
        >>> values_of("--length", "5,10:40:10")
        [5, 10, 20, 30, 40]
        >>> values_of("--lr", "1e-3,1e-2"), values_of("--cell", "lstm,gru")
        ([0.001, 0.01], ['lstm', 'gru'])
    """
    found: list[Any] = []
    for part in map(str.strip, text.split(",")):
        if not part:
            raise ArgumentError(f"{flag} {text!r}: expected values such as 1,2,3 or 10:100:10")
        match = _RANGE.fullmatch(part)
        found += _range(flag, part, match.groups()) if match else [value_of(part)]
    return list(dict.fromkeys(found))


def _range(flag: str, part: str, bounds: Sequence[str | None]) -> Iterator[Any]:
    """Count in decimals: 0.1:0.3:0.1 has three values, and the third is 0.3."""
    start, stop, step = (Decimal(bound or "1") for bound in bounds)
    if step <= 0 or stop < start:
        raise ArgumentError(f"{flag} {part}: expected start:stop:step with start ≤ stop and step > 0")
    whole = all(bound == bound.to_integral_value() for bound in (start, step))
    for k in range(int((stop - start) / step) + 1):
        yield int(start + k * step) if whole else float(start + k * step)


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
        ArgumentError: a value that cannot be read, a field the task has not, a combination that cannot be.
    """
    given = {name: text for name, text in vars(grid).items() if text is not None}
    wanted = {name: values_of(f"--{name.replace('_', '-')}", text) for name, text in given.items()}
    points = ({"task": task, **point} for point in _product(wanted))
    return [RunConfig.from_flat({**point, "seed": seed}) for point in points for seed in seeds]


def _product(values: Mapping[str, Sequence[Any]]) -> Iterator[dict[str, Any]]:
    for point in itertools.product(*values.values()):
        yield dict(zip(values, point, strict=True))
