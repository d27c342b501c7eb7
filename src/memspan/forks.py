"""Locks that survive a fork: it waits for whoever holds one, and its child begins with free ones.

A forked child has one thread. A lock that another thread of its parent held stays locked there for ever, and
what that thread was changing stays half changed: a module half imported, a compiler in the middle of a
function. So a fork waits for the locks of this module as it does for those of ``logging``.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
import time
import types
from typing import Any

PATIENCE = 60.0
"""Seconds that a fork waits; after that its child takes new locks and whatever state it finds."""


class ForkLock:
    """A reentrant lock that a fork waits for.

    Args:
        rank: a fork takes locks in ascending order, and so does everybody: holding a lock, take none of a
            lower rank.
    """

    def __init__(self, rank: int) -> None:
        self.rank = rank
        self._lock = threading.RLock()
        _LOCKS.append(self)
        _LOCKS.sort(key=lambda lock: lock.rank)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *error: object) -> None:
        self._lock.release()

    def acquire(self, timeout: float) -> bool:
        """Take the lock within so many seconds, and return whether that succeeded."""
        return self._lock.acquire(timeout=max(0.0, timeout))

    def release(self) -> None:
        """Let go of the lock."""
        self._lock.release()

    def renew(self) -> None:
        """Forget who holds the lock."""
        self._lock = threading.RLock()


_LOCKS: list[ForkLock] = []
_HELD: list[ForkLock] = []
"""The locks that the fork now under way holds."""


def _before() -> None:
    end = time.monotonic() + PATIENCE
    _HELD[:] = [lock for lock in _LOCKS if lock.acquire(end - time.monotonic())]


def _in_parent() -> None:
    while _HELD:
        _HELD.pop().release()


def _in_child() -> None:
    # Whoever forked holds these locks in the child too: its only thread has the same identity.
    held = list(_HELD)
    _in_parent()
    for lock in _LOCKS:
        if lock not in held:
            lock.renew()
    _renew_cached_properties()
    _renew_compiler()


def _renew_cached_properties() -> None:
    """Renew the locks that cached properties have before Python 3.12, one for all objects of a class."""
    if sys.version_info >= (3, 12):
        return
    for name, module in list(sys.modules.items()):
        if name.startswith("memspan.") and isinstance(module, types.ModuleType):
            for kind in [kind for kind in vars(module).values() if isinstance(kind, type)]:
                for member in vars(kind).values():
                    if isinstance(member, functools.cached_property):
                        member.lock = threading.RLock()  # type: ignore[attr-defined]


def _renew_compiler() -> None:
    """Renew the locks of Numba and llvmlite, which a thread may hold that compiles code of its user's."""
    compiler: Any = sys.modules.get("numba.core.compiler_lock")
    library: Any = sys.modules.get("llvmlite.binding.ffi")
    owners: list[Any] = [
        getattr(compiler, "global_compiler_lock", None),
        getattr(getattr(library, "lib", None), "_lock", None),
    ]
    for owner in owners:
        if hasattr(owner, "_lock"):
            owner._lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
