"""Tasks and cells as a person types them: registered names, and import paths of classes of their own."""

from __future__ import annotations

import dataclasses
from typing import Any

from memspan.cells import CELLS
from memspan.cli.bounds import shortened
from memspan.errors import ArgumentError, MemspanError
from memspan.registry import Registry
from memspan.tasks import TASKS
from memspan.tasks.task import Task


def task_class(name: str) -> type[Task]:
    """Return the class of a task.

    Raises:
        UnknownNameError: no such name.
        ArgumentError: a path to something that is no task.
    """
    found: type[Task] = _resolved(TASKS, name)
    if not dataclasses.is_dataclass(found):
        raise ArgumentError(f"task {shortened(name)!r} is no dataclass, so it has no fields to set")
    return found


def check_cell(name: str) -> None:
    """Refuse a cell's path that leads to neither a cell nor a layer; registered names import nothing here.

    Raises:
        UnknownNameError: no such name.
        ArgumentError: a path to something else.
    """
    if CELLS[name] != name:
        return
    _resolved(CELLS, name)


def _resolved(registry: Registry, name: str) -> Any:
    if len(name) > 1000:
        raise ArgumentError(f"{registry.kind} {shortened(name)!r}: expected a name, or package.module:Class")
    try:
        return registry.resolve(name)
    except MemspanError:
        raise
    except (Exception, SystemExit) as error:  # the module is a user's: importing it may raise anything
        if registry[name] != name:
            raise
        raise ArgumentError(
            f"{registry.kind} {name!r} cannot be imported ({type(error).__name__}: {error})"
        ) from None
