"""Files and JSON that anybody may have written: regular files of bounded size, JSON of bounded depth.

A FIFO never ends, a device may do anything when it is opened, a file of 10 GB fills the memory and 10⁵ nested
brackets fill the stack. Here each of them is one ``ArgumentError`` before it does harm.
"""

from __future__ import annotations

import json
import math
import os
import stat
from collections import Counter
from pathlib import Path
from typing import Any

from memspan.errors import ArgumentError, shown

DEEPEST = 20
"""Levels of lists and objects; a config has two."""
DIGITS = 20
"""Characters of a whole number; 64 bits take no more."""
_DEEP = f"is nested too deeply; expected at most {DEEPEST} levels"
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def file_size(path: str | os.PathLike[str]) -> int:
    """Return the bytes of a regular file, which is not opened.

    Raises:
        FileNotFoundError, PermissionError, OSError: nothing can be said of the path.
        ArgumentError: a folder, a FIFO, a socket or a device; a path that no file can have.
    """
    try:
        about = os.stat(path)
    except ValueError as error:  # a NUL or half a surrogate pair
        raise ArgumentError(f"{shown(str(path))} is not a path: {error}") from None
    return _size(about, path)


def read_file(path: str | os.PathLike[str], at_most: int) -> bytes:
    """Return the content of a regular file.

    Args:
        path: the file.
        at_most: bytes it may have.

    Raises:
        OSError: it cannot be opened.
        ArgumentError: it is no regular file, or larger.
    """
    size = file_size(path)  # before it is opened: opening alone may set a device going
    if size > at_most:
        raise ArgumentError(f"{os.fspath(path)} has {size:,} bytes; expected at most {at_most:,}")
    # O_NONBLOCK, because a FIFO may have taken the file's place in between
    with open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as file:
        size = _size(os.fstat(file.fileno()), path)
        content = file.read(min(size, at_most) + 1)
    if len(content) > size:  # it grows, or its size is not known, as in /proc
        raise ArgumentError(f"{os.fspath(path)} grew while it was read; wait until it is complete")
    return content


def _size(about: os.stat_result, path: str | os.PathLike[str]) -> int:
    if not stat.S_ISREG(about.st_mode):
        kind = _KINDS.get(stat.S_IFMT(about.st_mode), "no regular file")
        raise ArgumentError(f"{os.fspath(path)} is {kind}; expected a regular file")
    return about.st_size


def read_text(path: Path, at_most: int) -> str:
    """Return the content of a regular file of UTF-8; see ``read_file``.

    Raises:
        ArgumentError: also for other bytes than UTF-8.
    """
    try:
        return read_file(path, at_most).decode()
    except UnicodeDecodeError:
        raise ArgumentError(f"{path} is not UTF-8 text; it is damaged or no text at all") from None


def read_json(text: str, source: str) -> Any:
    """Return the value of a JSON text.

    Args:
        text: the JSON.
        source: where it comes from, the beginning of every message.

    Raises:
        ArgumentError: not JSON, NaN or infinity, more than 64 bits, a name twice in one object, more than
            ``DEEPEST`` levels, half a surrogate pair.
    """
    try:
        value = json.loads(
            text, object_pairs_hook=_object, parse_int=_whole, parse_float=_real, parse_constant=_real
        )
        _check(value)
    except ArgumentError as error:
        raise ArgumentError(f"{source} {error}") from None
    except RecursionError:
        raise ArgumentError(f"{source} {_DEEP}") from None
    except ValueError as error:
        raise ArgumentError(f"{source} is not JSON: {str(error)[:200]}") from None
    return value


def _check(value: Any) -> None:
    """Check depth and texts level by level: a value too deep for the stack is refused, too."""
    level = [value]
    for _ in range(DEEPEST + 1):
        for text in (part for part in level if isinstance(part, str)):
            if not text.isascii():
                _check_text(text)
        inner = [part for part in level if isinstance(part, dict | list)]
        if not inner:
            return
        level = [
            part
            for parts in inner
            for part in ([*parts, *parts.values()] if isinstance(parts, dict) else parts)
        ]
    raise ArgumentError(_DEEP)


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ArgumentError(f"holds half a surrogate pair in {shown(text)}; expected characters") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        twin = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise ArgumentError(f"has the name {shown(twin)} twice in one object")
    return values


def _whole(digits: str) -> int:
    # int() of a million digits takes seconds where Python's own limit is lifted
    if len(digits) > DIGITS or not -(2**63) <= (number := int(digits)) < 2**63:
        raise ArgumentError(f"has the number {digits[:DIGITS]}…; expected at most 64 bits")
    return number


def _real(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ArgumentError(f"has the number {text[:DIGITS]}; expected finite numbers")
    return number
