"""Tasks and cells as a person types them: registered names, and import paths of classes of their own."""

from __future__ import annotations

import dataclasses
import inspect
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
    found = _resolved(TASKS, name)
    # A class of any module can be named: only what declares itself a task is built.
    if not (isinstance(found, type) and issubclass(found, Task) and dataclasses.is_dataclass(found)):
        raise ArgumentError(f"task {shortened(name)!r} is no task: expected a dataclass derived from Task")
    return found


def check_cell(name: str) -> None:
    """Refuse a cell's path that leads to neither a cell nor a layer; registered names import nothing here.

    Raises:
        UnknownNameError: no such name.
        ArgumentError: a path to something else.
    """
    if CELLS[name] != name:
        return
    found = _resolved(CELLS, name)
    from torch import nn

    from memspan.cells.cell import Cell

    # A factory says only when it is called what it makes; built-in functions are none.
    if not (inspect.isfunction(found) or (isinstance(found, type) and issubclass(found, (Cell, nn.Module)))):
        raise ArgumentError(f"cell {shortened(name)!r} is neither a Cell nor a torch.nn.Module")


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
