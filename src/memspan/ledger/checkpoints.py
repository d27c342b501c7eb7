"""Checkpoint files beside the ledger: whole or not there, and known by their hash."""

from __future__ import annotations

import dataclasses
import errno
import glob
import hashlib
import os
import stat
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from memspan.errors import LedgerError
from memspan.ledger.events import Checkpoint, Finished, Staged


def digest(state: bytes | Staged) -> str:
    """Return the name by which the ledger knows these bytes."""
    return state.sha256 if isinstance(state, Staged) else hashlib.sha256(state).hexdigest()


def write_whole(path: Path, content: bytes) -> None:
    """Put content at path so that, whatever happens, path holds the old content or the new, never a mixture.

    The bytes are on the disk before the name points to them, and the name is when this returns.

    Raises:
        LedgerError: the disk is full or the place cannot be written; the old content is still there.
    """
    fresh = path.with_name(path.name + ".tmp")
    try:
        fresh.unlink(missing_ok=True)  # whatever lies there, a FIFO for instance, is not written into
        with fresh.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, path)
        sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):  # the name may be too long, or the disk read-only
            fresh.unlink(missing_ok=True)
        raise LedgerError(
            f"{str(path)!r} cannot be written: {error.strerror or error}; {_remedy(error)}"
        ) from error


def _remedy(error: OSError) -> str:
    if error.errno == errno.ENAMETOOLONG:
        return "choose a shorter name"
    if error.errno in (errno.EISDIR, errno.ENOTDIR, errno.ENOENT):
        return "choose a file in a folder that exists"
    return "free some space or make the folder writable"


def _move(staged: Path, path: Path) -> None:
    try:
        os.replace(staged, path)
        sync_folder(path.parent)
    except OSError as error:
        raise LedgerError(
            f"{str(staged)!r}, which a worker has written, cannot be moved to its place: "
            f"{error.strerror or error}; do all machines see one and the same folder?"
        ) from error


def sync_folder(folder: Path) -> None:
    """Make renames in a folder survive a power cut; only POSIX can, and needs to."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@dataclass(frozen=True)
class CheckpointFolder:
    """The folder ``<ledger stem>.checkpoints``, made when first written to."""

    path: Path

    @classmethod
    def beside(cls, ledger: Path) -> CheckpointFolder:
        """Return the folder that belongs to a ledger."""
        return cls(ledger.with_name(f"{ledger.stem}.checkpoints"))

    def current(self, run_id: str) -> Path:
        """Return where a run's checkpoint lies while it trains."""
        return self.path / f"{run_id}.safetensors"

    def final(self, run_id: str) -> Path:
        """Return where the last state of a finished run lies."""
        return self.path / f"{run_id}.final.safetensors"

    @property
    def staging(self) -> Path:
        """Where workers on other machines leave states; on the same disk, so that a rename moves them."""
        return self.path / "staged"

    def stage(self, event: Checkpoint | Finished) -> Checkpoint | Finished:
        """Write an event's state where the ledger will find it, and return the event without the bytes.

        For workers, which may not write to the ledger. No two files have one name: a machine given up for
        lost may still be writing while another trains its runs again.

        Raises:
            LedgerError: this machine does not see the folder, or cannot write to it.
        """
        if not self.staging.is_dir():
            raise LedgerError(
                f"folder {str(self.staging)!r} is not there on this machine; put the ledger's checkpoints "
                "on a folder that every machine sees under the same path"
            )
        kind = type(event).__name__.lower()
        path = self.staging / f"{event.run_id}.{event.step}.{kind}.{uuid.uuid4().hex}"
        assert isinstance(event.state, bytes)
        write_whole(path, event.state)
        return dataclasses.replace(event, state=Staged(path, digest(event.state)))

    def write(self, path: Path, state: bytes | Staged) -> None:
        """Write one of the folder's files, or move a staged one there; whole or not at all."""
        if path.is_dir() and not path.is_symlink():  # no file can take its place
            self._set_aside(path)
        if isinstance(state, Staged):
            _move(state.path, path)
            return
        try:
            if not self.path.is_dir():
                self.path.mkdir(exist_ok=True)
                sync_folder(self.path.parent)
        except OSError as error:
            raise LedgerError(f"folder {str(self.path)!r} cannot be made: {error.strerror}") from error
        write_whole(path, state)

    def read(self, path: Path) -> bytes | None:
        """Return the bytes of one of the folder's files, None when there is none.

        Raises:
            LedgerError: it cannot be read, or is a folder, a FIFO or whatever else is no file.
        """
        try:
            # Without O_NONBLOCK to open a FIFO would wait for a writer.
            handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
            with open(handle, "rb") as file:
                if not stat.S_ISREG(os.fstat(handle).st_mode):
                    raise LedgerError(f"{str(path)!r} cannot be read: it is no regular file")
                return file.read()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise LedgerError(f"{str(path)!r} cannot be read: {error.strerror}") from error

    def set_aside(self, run_id: str) -> Path:
        """Move an unusable checkpoint out of the way, to be looked at, and return where it went."""
        return self._set_aside(self.current(run_id))

    def _set_aside(self, path: Path) -> Path:
        aside = self.path / f"{path.name.partition('.')[0]}.damaged"
        number = 1
        while os.path.lexists(aside) and (aside.is_dir() or path.is_dir()):  # no folder can be replaced
            number += 1
            aside = aside.with_suffix(f".damaged-{number}")
        os.replace(path, aside)
        return aside

    def remove_current(self, run_id: str) -> None:
        """Remove a run's checkpoint; what its worker has staged meanwhile stays."""
        self._remove(self.current(run_id))
        self._remove(self.current(run_id).with_suffix(".safetensors.tmp"))

    def remove(self, run_id: str) -> None:
        """Remove the checkpoint of a run that needs none any more, and whatever is staged for it."""
        self.remove_current(run_id)
        if self.staging.is_dir():
            for left in self.staging.glob(f"{glob.escape(run_id)}.*"):
                self._remove(left)

    def remove_all(self, run_id: str) -> None:
        """Remove whatever there is of a run."""
        self.remove(run_id)
        self._remove(self.final(run_id))
        for damaged in self.path.glob(f"{glob.escape(run_id)}.damaged*"):
            self._remove(damaged)

    def _remove(self, path: Path) -> None:
        """Remove a file; a folder under its name is somebody else's, and only moved out of the way."""
        if not path.is_dir() or path.is_symlink():
            path.unlink(missing_ok=True)
        elif ".damaged" not in path.name:
            self._set_aside(path)

    def unfinished(self) -> list[str]:
        """Return the ids of the runs that have a checkpoint or something staged."""
        if not self.path.is_dir():
            return []
        kept = {p.stem for p in self.path.glob("*.safetensors") if not p.stem.endswith(".final")}
        return sorted(kept | {p.name.partition(".")[0] for p in self.staging.glob("*.*")})
