"""The command line: one file a verb. stdout is data, stderr is progress and errors.

Exit codes: 0 done, 1 failed, 2 wrong input, 130 stopped by the user, 143 ended by SIGTERM.

Nothing is imported here but what Python has loaded already: until ``main`` has taken Ctrl-C over, it would
end in a traceback.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from memspan.cli.interrupts import Interrupts


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Args:
        arguments: words of the command line. If not given, those of this process, whose signals and streams
            are then taken over; else they stay the caller's.
    """
    from memspan.cli.interrupts import Interrupts

    interrupts = Interrupts()
    if arguments is None:
        interrupts.install()
        _widen_streams()
        arguments = sys.argv[1:]
    if list(arguments) == ["--version"]:
        from memspan import __version__

        print(__version__)
        return 0
    code = _run(arguments, interrupts)
    interrupts.leave(code)
    return code


def _run(arguments: Sequence[str], interrupts: Interrupts) -> int:
    """Run one command; every error that is no mistake of ours becomes a line and a code."""
    from memspan.cli.parse import parse
    from memspan.errors import ArgumentError, ForeignLedgerError, KernelRefusal, MemspanError

    try:
        verb = parse(arguments)
        interrupts.working = True
        code = verb.run()
        sys.stdout.flush()  # here, where a full disk or a reader that has gone can still be told
        return code
    except (ArgumentError, ForeignLedgerError, KernelRefusal) as error:
        return _say(_one_line(str(error)), 2)
    except KeyboardInterrupt:
        return _say(interrupts.words(), interrupts.code())
    except BrokenPipeError:  # the reader of our output has gone: say nothing to it any more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except MemspanError as error:
        from memspan.sweep.run import InterruptedSweepError

        return _say(error, 128 + error.signal if isinstance(error, InterruptedSweepError) else 1)
    except MemoryError as error:
        return _say(f"not enough memory ({error or 'an allocation failed'}); take smaller sizes", 1)
    except OSError as error:
        message, code = _system_error(error)
        return _say(_one_line(message), code)
    except Exception:
        if interrupts.number is None:
            raise
        # An interrupt inside an import comes out as whatever the half-imported module then failed with.
        return _say(interrupts.words(), interrupts.code())


def _system_error(error: OSError) -> tuple[str, int]:
    """Return what the system refused and what to do; wrong input where a name is at fault."""
    import errno

    reason = error.strerror or str(error) or type(error).__name__
    if error.filename is None:
        return f"the system refused: {reason}", 1
    place = _shortened(os.fsdecode(error.filename) if isinstance(error.filename, bytes) else error.filename)
    names = (errno.ENAMETOOLONG, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.EPERM)
    if error.errno in (*names, errno.EROFS, errno.ELOOP):
        return f"{place}: {reason}; name another file or folder", 2
    return f"{place}: {reason}", 1


def _shortened(place: object) -> str:
    text = str(place)
    return text if len(text) <= 120 else f"{text[:60]}…{text[-20:]} ({len(text):,} characters)"


def _widen_streams() -> None:
    """Let every character be printed, whatever encoding a pipe or a terminal has."""
    for stream in (sys.stdout, sys.stderr):
        # A stream is None where the process was started without one.
        if stream is not None and hasattr(stream, "reconfigure"):
            wide = stream.encoding.lower().replace("-", "") == "utf8"
            # File names of other encodings arrive as lone surrogates, and leave as the bytes they were.
            stream.reconfigure(errors="surrogateescape" if wide else "backslashreplace")


def _one_line(message: str) -> str:
    """Return a message in one line of bounded length, without control characters."""
    words = " ".join("".join(c if c.isprintable() or c.isspace() else "�" for c in message).split())
    return words if len(words) <= 600 else f"{words[:300]} … {words[-200:]}"


def _say(problem: object, code: int) -> int:
    print(f"memspan: {problem}", file=sys.stderr)
    return code
