"""Where the report is written: only into a folder that is ours, and whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from memspan.errors import OutputError

MARKER = ".memspan-report"
UNFINISHED = ".unfinished-"
LEDGER_FILES = ("ledger.sqlite", "ledger.checkpoints", "only")


def check_out(out: str | os.PathLike[str]) -> None:
    """Refuse a folder that the report must not be written into, before anything is written.

    A folder is ours if it is missing, empty, bears the marker of an earlier report, or holds nothing but
    a ledger (and the files a ledger keeps beside it).

    Raises:
        OutputError: it is a file, cannot be written, or holds something else.
    """
    path = Path(out)
    if path.is_dir():
        foreign = (
            [] if (path / MARKER).exists() else sorted(e.name for e in path.iterdir() if not _ours(e.name))
        )
        if foreign:
            raise OutputError(
                f"output folder {str(path)!r} holds {foreign[0]!r} and is no report of ours;"
                " name a new or empty folder"
            )
    elif path.exists() or path.is_symlink():
        raise OutputError(f"output {str(path)!r} is not a folder; name a new or empty folder")
    _check_writable(path)


def _ours(name: str) -> bool:
    return name.startswith((*LEDGER_FILES, UNFINISHED))


def _check_writable(path: Path) -> None:
    nearest = next(p for p in (path, *path.absolute().parents) if p.exists())
    if not nearest.is_dir():
        raise OutputError(f"output {str(path)!r}: {str(nearest)!r} is not a folder")
    try:
        with tempfile.TemporaryDirectory(prefix=UNFINISHED, dir=nearest):
            pass
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(f"output {str(path)!r} cannot be written: {reason}; name another folder") from error


@contextmanager
def whole_or_nothing(out: Path) -> Iterator[Path]:
    """Give a folder to write into; on success everything in it moves to ``out``, on failure nothing does.

    What ``out`` holds under other names, the ledger for instance, stays as it is.
    """
    check_out(out)
    out.mkdir(parents=True, exist_ok=True)
    for left in out.glob(f"{UNFINISHED}*"):
        shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=out))
    try:
        new, old = folder / "new", folder / "old"
        new.mkdir()
        old.mkdir()
        yield new
        (new / MARKER).write_text("This folder is written by memspan reproduce; it may be rewritten.\n")
        _swap(new, out, old)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _swap(new: Path, out: Path, old: Path) -> None:
    """Move every entry of new into out, those it replaces into old; undo all of it if one move fails."""
    done: list[str] = []
    try:
        for entry in sorted(new.iterdir()):
            if (out / entry.name).exists():
                (out / entry.name).rename(old / entry.name)
            done.append(entry.name)
            entry.rename(out / entry.name)
    except OSError:
        for name in done:
            if (out / name).exists():
                (out / name).rename(new / name)
            if (old / name).exists():
                (old / name).rename(out / name)
        raise
