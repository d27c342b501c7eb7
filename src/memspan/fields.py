"""Values of a dataclass's fields, checked by type: what a config may be made of, wherever it comes from."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args, get_origin, get_type_hints

from memspan.errors import ArgumentError, UnknownNameError, shown

LARGEST = 2**63
"""Whole numbers stay below it: they become int64 in arrays, in Parquet files and in SQLite."""


hints: Callable[[Any], dict[str, Any]] = functools.cache(get_type_hints)
"""The types of a class's fields; to read them takes ten times as long as to check by them."""


def with_default(cls: type) -> set[str]:
    """Return the names of the fields that need not be given."""
    return {f.name for f in dataclasses.fields(cls) if f.default is not dataclasses.MISSING}


def typed(cls: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values as the types of a class's fields; see ``coerce``."""
    kinds = hints(cls)
    return {name: coerce(name, value, kinds[name]) for name, value in values.items()}


def coerce(name: str, value: Any, kind: Any) -> Any:
    """Return value as kind; an integer may stand for a float and 2.0 for 2, nothing else is converted.

    Raises:
        UnknownNameError: a choice that the field does not have.
        ArgumentError: another type, or a whole number of more than 64 bits.
    """
    if get_origin(kind) is Literal:
        if not any(type(value) is type(choice) and value == choice for choice in get_args(kind)):
            raise UnknownNameError(name, value, get_args(kind))
        return value
    if kind is int and isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not -LARGEST <= value < LARGEST:
        raise ArgumentError(f"{name}={shown(value)}: expected a number of at most 64 bits")
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ArgumentError(f"{name}={shown(value)}: expected {kind.__name__}, got {type(value).__name__}")
    return value


def check_fields(instance: Any) -> None:
    """Check every field of a frozen dataclass, and store what ``coerce`` makes of it."""
    kinds = hints(type(instance))
    for f in dataclasses.fields(instance):
        value = getattr(instance, f.name)
        checked = coerce(f.name, value, kinds[f.name])
        if checked is not value:
            object.__setattr__(instance, f.name, checked)


def require(condition: bool, name: str, value: object, expected: str) -> None:
    """Raise ArgumentError unless a field's value meets its condition."""
    if not condition:
        raise ArgumentError(f"{name} {shown(value)}: expected {expected}")
