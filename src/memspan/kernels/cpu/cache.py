"""Where the generated modules and their compiled code lie on disk.

One folder per (kernel sources, host features, vector length, Numba, llvmlite): a change of any of them is
another folder, so that no process loads code built for another. The disk saves time and nothing else: where
it holds no code, or code that is damaged, or lets none be written, the code is compiled in memory.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import IO

import llvmlite
import numba
import platformdirs
from numba.core import config

from memspan import simd
from memspan.errors import KernelRefusal
from memspan.forks import ForkLock
from memspan.kernels import jit
from memspan.kernels.cpu import files
from memspan.kernels.cpu.generate import backward_text, forward_text
from memspan.kernels.cpu.generated import Code, code_file, execute
from memspan.kernels.cpu.spec import Spec

_LOCK = ForkLock(rank=2)
_LOADED: dict[str, ModuleType] = {}
_COMPILE = (
    "import sys; from memspan.kernels.cpu.generated import compile_for_another;"
    " compile_for_another(*sys.argv[1:])"
)
_NOWHERE = Path(os.devnull, "memspan")
"""A folder in which nothing can be, where the system names no folder for caches."""
PATIENCE = 600.0
"""Seconds after which a process that compiles a module for this one is given up."""


def source_files() -> list[Path]:
    """Return every file that compiled code depends on."""
    package = Path(simd.__file__).parent.parent
    return [
        package / "linked.py",
        *sorted((package / "simd").glob("*.py")),
        *sorted((package / "kernels" / "cpu").rglob("*.py")),
        *sorted((package / "cells").glob("*/cpu.py")),
    ]


def cache_key(lanes: int, sources: list[Path] | None = None) -> str:
    """Return the name of the folder for these sources on this host."""
    digest = hashlib.sha256()
    for path in source_files() if sources is None else sources:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    host = sorted(simd.host_features())
    for fact in (
        host,
        str(getattr(config, "CPU_NAME", None)),
        lanes,
        numba.__version__,
        llvmlite.__version__,
    ):
        digest.update(repr(fact).encode() + b"\0")
    return f"{lanes}-{digest.hexdigest()[:20]}"


@functools.cache
def cache_folder() -> Path:
    """Return the folder for this process' kernels, whether or not it can be read or written."""
    named = os.environ.get("MEMSPAN_CACHE_DIR")
    root = Path(named or platformdirs.user_cache_dir("memspan"))
    try:
        # Without a home the default is "~/.cache", which would be a folder named "~" right here.
        root = root.absolute() if named or root.is_absolute() else _NOWHERE
    except OSError:  # relative to a working folder that is no more
        root = _NOWHERE
    return root / "kernels" / cache_key(simd.LANES)


def obstacle() -> OSError | None:
    """Return what keeps this process from writing into its folder, or None."""
    probe = cache_folder() / ".probe"
    wrong = files.write(probe, b"")
    with contextlib.suppress(OSError):
        probe.unlink()
    return wrong


@functools.cache
def _say_once(folder: Path, wrong: str) -> None:
    warnings.warn(
        f"the kernel cache {folder} cannot be written ({wrong}); what is compiled serves this process only. "
        "Set MEMSPAN_CACHE_DIR to a writable folder.",
        stacklevel=4,
    )


@dataclasses.dataclass
class _Helper:
    """A process that compiles a module this one will ask for, and the nameless file it writes into."""

    process: subprocess.Popen[bytes]
    output: IO[bytes]
    owner: int = dataclasses.field(default_factory=os.getpid)

    def code(self) -> bytes | None:
        """Wait for the process and return what it wrote."""
        if self.owner != os.getpid():  # the helper of a parent, with whom this process shares the file
            self.process.returncode = 0
            return None
        try:
            self.process.wait(PATIENCE)
            self.output.seek(0)
            return self.output.read()
        except (OSError, subprocess.TimeoutExpired):
            self.process.kill()
            return None
        finally:
            self.output.close()


_AHEAD: dict[str, _Helper] = {}


def module(name: str, text: Callable[[], str]) -> ModuleType:
    """Return a generated module by name, compiled or loaded on first use.

    Raises:
        KernelRefusal: Numba is told not to compile.
    """
    with _LOCK:
        if name not in _LOADED:
            if jit.disabled():
                raise KernelRefusal(f"{jit.REFUSAL}; {name} is nothing else, so unset it and start again")
            written = text()
            path = _readable_copy(name, written)
            sent = _AHEAD.pop(name).code() if name in _AHEAD else None
            _LOADED[name], wrong = execute(name, path, written, sent)
            if wrong is not None:
                _say_once(path.parent, str(wrong))
        return _LOADED[name]


def _readable_copy(name: str, text: str) -> Path:
    """Put the text of a module into the folder, for debuggers and people; nothing reads it from there."""
    path = cache_folder() / f"{name}.py"
    content = text.encode()
    if files.read(path) != content:
        files.write(path, content)
    return path


def compile_ahead(name: str, text: Callable[[], str]) -> None:
    """Let another process compile a module that is asked for next, unless the disk holds it.

    Who asks for the module waits for that process; should it fail, the module is compiled then and there.
    A program that is not Python itself (one that embeds it) is not started a second time.
    """
    with _LOCK:
        python = "python" in Path(sys.executable or "").name.lower()
        if name in _LOADED or name in _AHEAD or not python or (os.cpu_count() or 1) < 2 or jit.disabled():
            return
        written = text()
        path = cache_folder() / f"{name}.py"
        if not Code(name, written).load(files.read(code_file(path))):
            with contextlib.suppress(OSError):
                _AHEAD[name] = _helper(name, path, written)


def _helper(name: str, path: Path, text: str) -> _Helper:
    """Start a process that compiles a module; text and code go through files that have no name to leave."""
    here = os.environ | {"PYTHONPATH": os.pathsep.join(entry or os.getcwd() for entry in sys.path)}
    with contextlib.ExitStack() as opened:
        source = opened.enter_context(tempfile.TemporaryFile())
        source.write(text.encode())
        source.seek(0)
        output = tempfile.TemporaryFile()  # noqa: SIM115 - the helper's reader closes it
        opened.callback(output.close)
        process = subprocess.Popen(
            [sys.executable, "-c", _COMPILE, name, str(path)], env=here,
            stdin=source, stdout=output, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        opened.pop_all()
        source.close()
    return _Helper(process, output)


def forward_name(spec: Spec) -> str:
    """Return the name of the module that walks forward with one cell."""
    return f"memspan_kernel_{spec.variant}"


def load_forward(spec: Spec) -> ModuleType:
    """Return the module that walks forward with one cell; that which walks backward compiles meanwhile."""
    name = forward_name(spec)
    if name not in _LOADED:
        compile_ahead(*_backward(spec))
    return module(name, lambda: forward_text(spec))


def load_backward(spec: Spec) -> ModuleType:
    """Return the module that walks backward with one cell."""
    return module(*_backward(spec))


def _backward(spec: Spec) -> tuple[str, Callable[[], str]]:
    return f"{forward_name(spec)}_backward", lambda: backward_text(spec)
