"""Every error memspan raises on purpose.

    MemspanError
    ├── ArgumentError (ValueError)          a value that cannot be meant
    │   ├── ShapeError                      a tensor of the wrong rank, size or dtype
    │   ├── UnknownNameError                a name no table knows; names the nearest one
    │   ├── UntrustedNameError              a file that names code by its import path
    │   └── OutputError                     a folder or file that must not be written
    ├── KernelRefusal (RuntimeError)        a kernel that cannot serve this case, and why
    └── LedgerError (RuntimeError)          a ledger that cannot be used
        └── ForeignLedgerError              a file that is not a memspan ledger

Each one also derives from the built-in error that code written for torch would catch.
A message says what was given, what was expected and what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

LONGEST = 80
"""Characters of a value in a message."""


def shown(value: object) -> str:
    """Return a value's ``repr`` for a message, cut where it is long.

    Example:
        >>> shown("lstm"), len(shown("x" * 1_000_000))
        ("'lstm'", 80)
    """
    if isinstance(value, str | bytes):
        value = value[:LONGEST]
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an integer of thousands of digits, lists nested as deep
        text = f"a {type(value).__name__} too large to be shown"
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


class MemspanError(Exception):
    """Root of every error memspan raises on purpose."""


class ArgumentError(MemspanError, ValueError):
    """A value that cannot be meant."""


class ShapeError(ArgumentError):
    """A tensor of the wrong rank, size or dtype."""


class OutputError(ArgumentError):
    """A folder or file that must not or cannot be written."""


class UnknownNameError(ArgumentError):
    """A name that no table knows.

    Args:
        kind: what the name should have been, for instance ``"cell"``.
        name: what was given.
        known: the names that exist; the nearest one is suggested.
    """

    def __init__(self, kind: str, name: object, known: Iterable[str]) -> None:
        self.kind, self.name, self.known = kind, name, sorted(known)
        close = difflib.get_close_matches(str(name)[:LONGEST], self.known, n=1, cutoff=0.4)
        hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(self.known)}."
        super().__init__(f"unknown {kind} {shown(name if isinstance(name, str) else str(name))}; {hint}")

    def __reduce__(self) -> tuple[type, tuple[str, object, list[str]]]:
        return type(self), (self.kind, self.name, self.known)


class UntrustedNameError(ArgumentError):
    """A file that names a cell or a task by its import path, which nobody here has named.

    Args:
        kind: ``"cell"`` or ``"task"``.
        path: ``"package.module:Class"``.
    """

    def __init__(self, kind: str, path: str) -> None:
        self.kind, self.path = kind, path
        super().__init__(
            f"a file names the {kind} {shown(path)}, an import path; files may name registered {kind}s only, "
            f"and nothing was imported. If you trust that code, name it yourself: trust=[{shown(path)}] in "
            f"Python, --trust {path[:LONGEST]} on the command line"
        )

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (self.kind, self.path)


class KernelRefusal(MemspanError, RuntimeError):
    """A kernel that cannot serve this case, with the reason."""


class LedgerError(MemspanError, RuntimeError):
    """A ledger that cannot be used as it is."""


class ForeignLedgerError(LedgerError):
    """A file that exists and is not a memspan ledger."""
