"""What can happen to a file of the kernel cache, and a process that goes through all of it.

Run with a folder as its only argument: for every kind of damage to every file of a small module it demands
the module's numbers again. A process of its own, because a damaged file may hang or end it.
"""

import contextlib
import os
import pickle
import random
import shutil
import socket
import sys
import warnings

TEXT = '''
import numba as nb
from memspan.linked import entry


@entry(nb.int64(nb.int64))
def triple(n):
    """Return three times a number."""
    return 3 * n


@entry(nb.int64(nb.int64))
def square(n):
    """Return the square of a number."""
    return n * n
'''
NOBODY = 65534


def _write(change):
    """Return a kind of damage that changes a file's content."""

    def damage(path, others):
        path.write_bytes(change(path.read_bytes()))

    return damage


def _flip(place):
    """Return a content with one bit flipped, at a part of its length."""

    def change(content):
        at = min(len(content) - 1, int(place * len(content)))
        return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]

    return _write(change)


def _replace(make):
    """Return a kind of damage that puts something else into a file's place."""

    def damage(path, others):
        path.unlink()
        make(path)

    return damage


class Bomb:
    """Ends the process that unpickles it."""

    def __reduce__(self):
        return os._exit, (3,)


def _filled_folder(path):
    path.mkdir()
    (path / "inside").write_text("something")


def _socket(path):
    here = os.getcwd()
    os.chdir(path.parent)  # a socket's path may have a hundred characters
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as made:
        made.bind(path.name)
    os.chdir(here)


def _swap(path, others):
    for other in others:
        mine, its = path.read_bytes(), other.read_bytes()
        path.write_bytes(its)
        other.write_bytes(mine)
        path = other


def _leave_beside(path, others):
    for ending in (".tmp", ".lock", "-journal"):
        path.with_name(path.name + ending).write_text("left by a process that was killed")


KINDS = {
    "empty": _write(lambda content: b""),
    "one byte": _write(lambda content: content[:1]),
    "first 32 bytes": _write(lambda content: content[:32]),
    "first half": _write(lambda content: content[: len(content) // 2]),
    "second half": _write(lambda content: content[len(content) // 2 :]),
    "last byte lost": _write(lambda content: content[:-1]),
    "one byte more": _write(lambda content: content + b"\0"),
    "twice": _write(lambda content: content * 2),
    "first bit": _flip(0.0),
    "bit in the middle": _flip(0.5),
    "bit near the end": _flip(0.9),
    "last bit": _flip(1.0),
    "zeros": _write(lambda content: bytes(len(content))),
    "a page of zeros": _write(lambda content: content[:64] + bytes(4096) + content[4160:]),
    "random bytes": _write(lambda content: random.Random(0).randbytes(len(content))),
    "random tail": _write(lambda content: content[:40] + random.Random(1).randbytes(len(content))),
    "text": _write(lambda content: b"raise RuntimeError('read from the disk')\n"),
    "a hostile pickle": _write(lambda content: pickle.dumps(Bomb())),
    "a hostile pickle behind the head": _write(lambda content: content[:32] + pickle.dumps(Bomb())),
    "line ends of another system": _write(lambda content: content.replace(b"\n", b"\r\n")),
    "terabytes": lambda path, others: os.truncate(path, 2**40),
    "swapped": _swap,
    "lost": lambda path, others: path.unlink(),
    "unreadable": lambda path, others: path.chmod(0),
    "read-only": lambda path, others: path.chmod(0o444),
    "empty folder": _replace(lambda path: path.mkdir()),
    "folder": _replace(_filled_folder),
    "dangling link": _replace(lambda path: path.symlink_to(path.with_name("nowhere"))),
    "link to itself": _replace(lambda path: path.symlink_to(path)),
    "link to a folder": _replace(lambda path: path.symlink_to(path.parent)),
    "link to endless zeros": _replace(lambda path: path.symlink_to("/dev/zero")),
    "pipe": _replace(lambda path: os.mkfifo(path)),
    "socket": _replace(_socket),
    "leftovers": _leave_beside,
}


def apply(kind, path, others=()):
    """Damage one file; others: files it may be confused with."""
    KINDS[kind](path, others)


def remove(path):
    """Remove whatever stands at a path."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def another_user():
    """Be somebody who owns none of the files, where this process may become that: root reads everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def main():
    """Go through every kind of damage to every file."""
    from memspan.kernels import trial
    from memspan.kernels.cpu import cache, generated

    def use():
        cache._LOADED.clear()
        module = cache.module("memspan_small", lambda: TEXT)
        assert (module.triple(14), module.square(12)) == (42, 144)
        trial.passed(module)
        return module

    module = use()
    trial.judged(0.0, module)
    assert trial.passed(use())
    folder = cache.cache_folder()
    sound = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert len(sound) >= 3, sound
    warnings.simplefilter("ignore")  # what cannot be kept is said
    tried = 0
    for kind in KINDS:
        for path in sound:
            apply(kind, path, [other for other in sound if other != path])
            with another_user() if kind == "unreadable" else contextlib.nullcontext():
                use()
            code = generated.code_of(use())
            # What was compiled anew is on the disk again, unless a folder stands in its place.
            assert not code.changed or "folder" in kind, (kind, path)
            for found in list(folder.iterdir()):
                remove(found)
            for one, content in sound.items():
                one.parent.mkdir(parents=True, exist_ok=True)
                one.write_bytes(content)
            tried += 1
    assert trial.passed(use()), "the sound files are taken again"
    print(f"{tried} damaged files, {len(KINDS)} kinds")


if __name__ == "__main__":
    sys.exit(main())
