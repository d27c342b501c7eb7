"""The command line: one file a verb. stdout is data, stderr is progress and errors.

Exit codes: 0 done, 1 failed, 2 wrong input, 130 stopped by the user.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from memspan.errors import ArgumentError, ForeignLedgerError, KernelRefusal, MemspanError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    from memspan.cli.parse import parse

    try:
        return parse(sys.argv[1:] if arguments is None else arguments).run()
    except (ArgumentError, ForeignLedgerError, KernelRefusal) as error:
        return _say(error, 2)
    except KeyboardInterrupt:
        return _say("stopped", 130)
    except BrokenPipeError:  # the reader of our output has gone: say nothing to it any more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except MemspanError as error:
        from memspan.sweep.run import InterruptedSweepError

        return _say(error, 130 if isinstance(error, InterruptedSweepError) else 1)


def _say(problem: object, code: int) -> int:
    print(f"memspan: {problem}", file=sys.stderr)
    return code
