"""Whose turn it is to train: so many at a time, the others wait, and everyone may leave."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

AT_ONCE = 2
"""Trainings at the same time; further visitors wait for their turn."""


class Trainings:
    """Who is training and who waits to, so that a button or a closed page can end either."""

    def __init__(self) -> None:
        self._stops: dict[str, threading.Event] = {}
        self._waiting: set[str] = set()
        self._gone: set[str] = set()

    def queue(self, session: str) -> bool:
        """Note that a visitor wants to train; true if others have to end first."""
        self._gone.discard(session)
        if len(self) < AT_ONCE or session in self._stops:
            return False
        self._waiting.add(session)
        return True

    def wanted(self, session: str) -> bool:
        """Return whether a visitor whose turn has come is still there for it."""
        self._waiting.discard(session)
        gone = session in self._gone
        self._gone.discard(session)
        return not gone

    @contextmanager
    def begin(self, session: str) -> Iterator[threading.Event]:
        """Note that a visitor trains, ending what the same visitor had begun before."""
        self.stop(session)
        stop = self._stops[session] = threading.Event()
        try:
            yield stop
        finally:
            stop.set()
            if self._stops.get(session) is stop:
                del self._stops[session]

    def stop(self, session: str) -> bool:
        """Ask a visitor's training to end after its step; true if it had not begun and never will."""
        if session in self._stops:
            self._stops[session].set()
        if session not in self._waiting:
            return False
        self._waiting.discard(session)
        self._gone.add(session)
        return True

    def __len__(self) -> int:
        return len(self._stops)
