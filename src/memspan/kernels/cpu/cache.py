"""Where the generated modules and their compiled code lie on disk.

One folder per (kernel sources, host features, vector length, Numba, llvmlite): a change of any of them is
another folder, so that no process loads code built for another. Numba keeps its own files beside the modules.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.util
import os
import subprocess
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import llvmlite
import numba
import platformdirs
from numba.core import config

from memspan import simd
from memspan.kernels.cpu.generate import backward_text, forward_text
from memspan.kernels.cpu.generated import execute, mark
from memspan.kernels.cpu.spec import Spec

_LOCK = threading.Lock()
_LOADED: dict[str, ModuleType] = {}
_AHEAD: dict[str, subprocess.Popen[bytes]] = {}
"""Processes that compile a module this one will ask for."""
_COMPILE = "import sys; from memspan.kernels.cpu.generated import execute; execute(*sys.argv[1:])"


def source_files() -> list[Path]:
    """Return every file that compiled code depends on."""
    package = Path(simd.__file__).parent.parent
    return [
        package / "linked.py",
        *sorted((package / "simd").glob("*.py")),
        *sorted((package / "kernels" / "cpu").rglob("*.py")),
        *sorted((package / "cells").glob("*/cpu.py")),
    ]


def cache_key(lanes: int, files: list[Path] | None = None) -> str:
    """Return the name of the folder for these sources on this host."""
    digest = hashlib.sha256()
    for path in source_files() if files is None else files:
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


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


@functools.cache
def cache_folder() -> Path:
    """Return a writable folder for this process' kernels; a temporary one, said aloud, as a last resort."""
    root = os.environ.get("MEMSPAN_CACHE_DIR") or platformdirs.user_cache_dir("memspan")
    folder = Path(root) / "kernels" / cache_key(simd.LANES)
    if _writable(folder):
        return folder
    temporary = Path(tempfile.mkdtemp(prefix="memspan-"))
    warnings.warn(
        f"the kernel cache {folder} cannot be written; compiling into {temporary} for this process only. "
        "Set MEMSPAN_CACHE_DIR to a writable folder.",
        stacklevel=2,
    )
    return temporary


def _digest(room: str) -> str:
    """Return the hash of a module's source: an outside pair that changes makes its kernel new."""
    found = importlib.util.find_spec(room)
    source = b"" if found is None or found.origin is None else Path(found.origin).read_bytes()
    return hashlib.sha256(source).hexdigest()[:16]


def _write(name: str, text: str, folder: Path) -> Path:
    """Write one module whole or not at all, so that processes may start at once."""
    path = folder / f"{name}.py"
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        handle, temporary = tempfile.mkstemp(dir=folder, suffix=".tmp")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, path)
    return path


def module(name: str, text: Callable[[], str]) -> ModuleType:
    """Return a generated module by name, written and imported on first use."""
    with _LOCK:
        if name not in _LOADED:
            path = _write(name, text(), cache_folder())
            if name in _AHEAD:
                _AHEAD.pop(name).wait()
            _LOADED[name] = execute(name, str(path))
        return _LOADED[name]


def compile_ahead(name: str, text: Callable[[], str]) -> None:
    """Let another process compile a module that is asked for next, unless the disk holds it.

    Who asks for the module waits for that process; should it fail, the module is compiled then and there.
    A program that is not Python itself (one that embeds it) is not started a second time.
    """
    with _LOCK:
        python = "python" in Path(sys.executable or "").name.lower()
        if name in _LOADED or name in _AHEAD or not python or (os.cpu_count() or 1) < 2:
            return
        path = _write(name, text(), cache_folder())
        if not mark(path).exists():
            here = os.environ | {"PYTHONPATH": os.pathsep.join(entry or os.getcwd() for entry in sys.path)}
            with contextlib.suppress(OSError):
                _AHEAD[name] = subprocess.Popen(
                    [sys.executable, "-c", _COMPILE, name, str(path)], env=here,
                    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                )  # fmt: skip


def forward_name(spec: Spec) -> str:
    """Return the name of the module that walks forward with one cell."""
    return f"memspan_kernel_{spec.variant}"


def load_forward(spec: Spec) -> ModuleType:
    """Return the module that walks forward with one cell; that which walks backward compiles meanwhile."""
    name = forward_name(spec)
    if name not in _LOADED:
        compile_ahead(*_backward(spec))
    return module(name, lambda: forward_text(spec) + _sources(spec))


def load_backward(spec: Spec) -> ModuleType:
    """Return the module that walks backward with one cell."""
    return module(*_backward(spec))


def _backward(spec: Spec) -> tuple[str, Callable[[], str]]:
    return f"{forward_name(spec)}_backward", lambda: backward_text(spec) + _sources(spec)


def _sources(spec: Spec) -> str:
    return f"\n\n# {spec.room}: {_digest(spec.room)}\n"
