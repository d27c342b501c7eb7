"""Which pages match a wish: a value, or one of several, for any field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from memspan.errors import UnknownNameError

Item = TypeVar("Item")


def matching(pages: Sequence[tuple[Item, Mapping[str, Any]]], where: Mapping[str, Any]) -> list[Item]:
    """Return the items whose page has the wanted value in every wanted field.

    Args:
        pages: item and its fields; a field that a page lacks is None.
        where: field → a value, or a list, tuple, set or range of values.

    Raises:
        UnknownNameError: a field that no page has; with no pages at all, any name will do.
    """
    known = set().union(*(fields for _, fields in pages))
    for name in where if pages else ():
        if name not in known:
            raise UnknownNameError("field", name, known)
    return [
        item for item, fields in pages if all(_fits(fields.get(name), wish) for name, wish in where.items())
    ]


def _fits(value: Any, wish: Any) -> bool:
    return value in wish if isinstance(wish, list | tuple | set | frozenset | range) else value == wish
