"""Tables from name to "module:Class", so that a name is known without importing torch."""

from __future__ import annotations

import importlib
from collections.abc import Collection, Iterator, Mapping
from types import FunctionType
from typing import Any

from memspan.errors import ArgumentError, UnknownNameError, UntrustedNameError


class Registry(Mapping[str, str]):
    """A table of names whose classes are imported on use.

    Args:
        kind: what the names stand for, in error messages.
        table: name → ``"package.module:Class"``. Such a path is its own name, so that every process finds
            what is registered nowhere; a file may not use one, see ``check_stored``.
        bases: paths of classes, from one of which a class given by its path must be derived.
        shipped: paths of this package's own that have no name; files may use them.
        functions: whether a function that makes such an object may stand for the class.
    """

    def __init__(
        self,
        kind: str,
        table: Mapping[str, str],
        *,
        bases: Collection[str] = (),
        shipped: Collection[str] = (),
        functions: bool = False,
    ) -> None:
        self.kind, self._table, self._bases = kind, dict(table), tuple(bases)
        self._shipped, self._functions = frozenset(shipped), functions
        self._resolved: dict[str, Any] = {}

    def __getitem__(self, name: str) -> str:
        if name in self:
            return self._table[name]
        if is_import_path(name):
            return name
        raise UnknownNameError(self.kind, name, self._table)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in self._table

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

    def check_stored(self, name: object, trust: Collection[str] = ()) -> None:
        """Check a name that a file gives, before anything is imported for it.

        Args:
            name: what the file says.
            trust: import paths that a person has named; a file may repeat them.

        Raises:
            UntrustedNameError: another import path: to read it would run code of the file's choice.
            UnknownNameError: no such name.
        """
        if isinstance(name, str) and (name in self._table or name in self._shipped | trusted(trust)):
            return
        if is_import_path(name):
            raise UntrustedNameError(self.kind, str(name))
        raise UnknownNameError(self.kind, name, self._table)

    def resolve(self, name: str) -> Any:
        """Import and return the class behind a name; once imported it is only looked up.

        ``torch.compile`` can trace the look-up, and not an import.

        Raises:
            UnknownNameError: no such name; the message suggests the nearest one.
            ArgumentError: a path that cannot be imported, or of something else than such a class.
        """
        target = self[name]
        if target not in self._resolved:
            self._resolved[target] = self._import(target)
        return self._resolved[target]

    def _import(self, target: str) -> Any:
        ours = target in self._table.values()
        try:
            found = _imported(target)
        except (ImportError, AttributeError) as error:
            if ours:  # its extra is missing: the error says which
                raise
            raise ArgumentError(
                f"{self.kind} {target!r} cannot be imported ({error}); expected package.module:Class"
            ) from None
        if not ours and self._bases and not self._is_derived(found):
            raise ArgumentError(
                f"{self.kind} {target!r} is no class derived from {' or '.join(self._bases)}; "
                "expected package.module:Class"
            )
        return found

    def _is_derived(self, found: object) -> bool:
        if isinstance(found, FunctionType):
            return self._functions
        return isinstance(found, type) and issubclass(found, tuple(map(_imported, self._bases)))


def is_import_path(name: object) -> bool:
    """Return whether a name has the form ``package.module:Class``.

    Example:
        >>> is_import_path("torch.nn:LSTM"), is_import_path("..:LSTM"), is_import_path(5)
        (True, False, False)
    """
    module, colon, attribute = name.partition(":") if isinstance(name, str) else ("", "", "")
    return bool(colon) and all(part.isidentifier() for part in (*module.split("."), attribute))


def trusted(paths: Collection[str]) -> frozenset[str]:
    """Return import paths as a set; a single one may be given as it is."""
    return frozenset([paths] if isinstance(paths, str) else paths)


def _imported(target: str) -> Any:
    module, attribute = target.split(":")
    return getattr(importlib.import_module(module), attribute)
