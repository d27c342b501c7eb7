"""Tables from name to "module:Class", so that a name is known without importing torch."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from memspan.errors import ArgumentError, UnknownNameError


class Registry(Mapping[str, str]):
    """A table of names whose classes are imported on use.

    Args:
        kind: what the names stand for, in error messages.
        table: name → ``"package.module:Class"``. Such a path is its own name, so that every process finds
            what is registered nowhere.
    """

    def __init__(self, kind: str, table: Mapping[str, str]) -> None:
        self.kind, self._table = kind, dict(table)
        self._resolved: dict[str, Any] = {}

    def __getitem__(self, name: str) -> str:
        if ":" in name and re.fullmatch(r"[\w.]+:\w+", name):
            return name
        try:
            return self._table[name]
        except KeyError:
            raise UnknownNameError(self.kind, name, self._table) from None

    def __contains__(self, name: object) -> bool:
        return name in self._table

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)

    def __len__(self) -> int:
        return len(self._table)

    def register(self, name: str, target: str) -> None:
        """Add a name, for instance a cell of your own.

        Args:
            name: what it will be called.
            target: ``"package.module:Class"``; imported on first use.

        Raises:
            ArgumentError: the name stands for something else already.
        """
        if self._table.setdefault(name, target) != target:
            raise ArgumentError(f"{self.kind} {name!r} is {self._table[name]} already; choose another name")

    def resolve(self, name: str) -> Any:
        """Import and return the class behind a name; once imported it is only looked up.

        ``torch.compile`` can trace the look-up, and not an import.

        Raises:
            UnknownNameError: no such name; the message suggests the nearest one.
            ArgumentError: a path that cannot be imported.
        """
        target = self[name]
        if target not in self._resolved:
            self._resolved[target] = self._import(target)
        return self._resolved[target]

    def _import(self, target: str) -> Any:
        module, attribute = target.split(":")
        try:
            return getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            if target in self._table.values():  # ours, or its extra is missing: the error says which
                raise
            raise ArgumentError(
                f"{self.kind} {target!r} cannot be imported ({error}); expected package.module:Class"
            ) from None
