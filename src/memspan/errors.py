"""Every error memspan raises on purpose.

    MemspanError
    ├── ArgumentError (ValueError)          a value that cannot be meant
    │   ├── ShapeError                      a tensor of the wrong rank, size or dtype
    │   ├── UnknownNameError                a name no table knows; names the nearest one
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
        close = difflib.get_close_matches(str(name), self.known, n=1, cutoff=0.4)
        hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(self.known)}."
        super().__init__(f"unknown {kind} {str(name)!r}; {hint}")

    def __reduce__(self) -> tuple[type, tuple[str, object, list[str]]]:
        return type(self), (self.kind, self.name, self.known)


class KernelRefusal(MemspanError, RuntimeError):
    """A kernel that cannot serve this case, with the reason."""


class LedgerError(MemspanError, RuntimeError):
    """A ledger that cannot be used as it is."""


class ForeignLedgerError(LedgerError):
    """A file that exists and is not a memspan ledger."""
