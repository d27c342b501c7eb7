"""Files of the kernel cache: every one may be missing, damaged, foreign or impossible to write. No torch."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from pathlib import Path

LARGEST = 2**26
"""Bytes of a file that is read; compiled code has a hundred thousand."""


def read(path: Path) -> bytes | None:
    """Return a file's content; None where there is no regular file of a sensible size that may be read."""
    try:
        # A pipe without a writer must not be waited for.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except (OSError, ValueError):
        return None
    try:
        about = os.fstat(handle)
        if not stat.S_ISREG(about.st_mode) or about.st_size > LARGEST:
            return None
        with open(handle, "rb", closefd=False) as file:
            return file.read(LARGEST)
    except OSError:
        return None
    finally:
        os.close(handle)


def write(path: Path, content: bytes) -> OSError | None:
    """Write a file whole or not at all, so that processes may start at once; return what was in the way.

    Whoever may read the folder may read the file.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
        with temporary.open("xb") as file:
            file.write(content)
        # The umask decides who may write, the folder who may read. Some file systems know neither.
        with contextlib.suppress(OSError):
            temporary.chmod(stat.S_IMODE(temporary.stat().st_mode) | path.parent.stat().st_mode & 0o444)
        os.replace(temporary, path)
    except (OSError, ValueError) as error:
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink()
        return error if isinstance(error, OSError) else OSError(str(error))
    return None
