"""Locks of open file descriptions (OFD) on bytes of a file, which other handles to it leave alone."""

from __future__ import annotations

import os
import struct

try:
    import fcntl
except ImportError:  # not POSIX
    fcntl = None  # type: ignore[assignment]

_FLOCK = "hhqqi4x"  # struct flock: type, whence, start, length, pid


def control(command: str, handle: int, kind: str, start: int, length: int = 1) -> bytes:
    """Set or ask for a lock on a range of a file's bytes; see fcntl(2).

    Raises:
        OSError: somebody else has locked it, or there are no such locks here.
    """
    wish = struct.pack(_FLOCK, getattr(fcntl, kind), os.SEEK_SET, start, length, 0)
    return fcntl.fcntl(handle, getattr(fcntl, command), wish)


def conflict(handle: int, start: int, length: int) -> bool:
    """Return whether somebody else, another handle of this process included, has a lock in a range."""
    answer = control("F_OFD_GETLK", handle, "F_WRLCK", start, length)
    return struct.unpack(_FLOCK, answer)[0] != fcntl.F_UNLCK


def has_ofd(handle: int) -> bool:
    """Return whether this system, and this disk, has locks of open file descriptions."""
    if not hasattr(fcntl, "F_OFD_SETLK"):
        return False
    try:
        conflict(handle, 2**59, 1)
    except OSError:
        return False
    return True
