"""Ctrl-C and SIGTERM from a command's first moment to its last: one line, exit code 130 or 143.

Python turns Ctrl-C into an exception wherever it happens to be. In the midst of an import, a callback of C
code or a destructor that exception is printed and forgotten, or comes out as another one. Here the first
signal is remembered, so that the command ends whatever became of its exception.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from types import FrameType
from typing import Any, NoReturn

GRACE = 5.0
"""Seconds that a command may clean up before it is ended."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_WORDS = {signal.SIGINT: "stopped", signal.SIGTERM: "ended by SIGTERM; what the ledger holds is kept"}


class Interrupts:
    """The signals of a process that belongs to the command line.

    ``working`` is set while a verb runs: only then is there anything to clean up. Before and after, a signal
    ends the process at once.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self.working = False
        self.told = False
        self.installed = False

    def install(self) -> None:
        """Take the signals over, but for those that whoever started us wants ignored (nohup)."""
        self.installed = True
        for number in _SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._handle)
        if hasattr(signal, "setitimer"):
            signal.signal(signal.SIGALRM, self._overdue)
        sys.unraisablehook = self._unraisable

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not self.working or self.number is not None:
            self.end(number)
        self.number = number
        # A swallowed exception must not let the command go on: the alarm comes all the same.
        if hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, GRACE)
        raise KeyboardInterrupt

    def _overdue(self, number: int, frame: FrameType | None) -> None:
        self.end(self.number or signal.SIGINT)

    def _unraisable(self, problem: Any) -> None:
        """End where an interrupt could not travel on, for instance out of a destructor."""
        if issubclass(problem.exc_type, KeyboardInterrupt):
            self.end(self.number or signal.SIGINT)
        sys.__unraisablehook__(problem)

    def leave(self, code: int) -> None:
        """Note that the command is over; after a signal, end without Python's own end.

        That waits for threads, of a server or of kernels, and knows no alarm and no handlers any more.
        """
        self.working = False
        if self.installed and self.number is not None:
            with contextlib.suppress(OSError, ValueError):
                sys.stdout.flush()
            os._exit(code)

    def code(self) -> int:
        """Return the exit code of the signal that came: 130, or 143 for SIGTERM."""
        return 128 + (self.number or signal.SIGINT)

    def words(self) -> str:
        """Return the line that says which signal came; it is said once."""
        self.told = True
        return _WORDS[signal.Signals(self.number or signal.SIGINT)]

    def end(self, number: int) -> NoReturn:
        """Say the line and end at once, without what Python does at its end."""
        self.number = number
        with contextlib.suppress(OSError):
            if not self.told:
                os.write(2, f"memspan: {self.words()}\n".encode())
        os._exit(self.code())
