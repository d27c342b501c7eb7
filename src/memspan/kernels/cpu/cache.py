"""Where the generated modules and their compiled code lie on disk.

One folder per (kernel sources, host features, vector length, Numba, llvmlite): a change of any of them is
another folder, so that no process loads code built for another. Numba keeps its own files beside the modules.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
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
from memspan.kernels.cpu.generate import module_text
from memspan.kernels.cpu.spec import Spec

_LOCK = threading.Lock()
_LOADED: dict[str, ModuleType] = {}


def source_files() -> list[Path]:
    """Return every file that compiled code depends on."""
    package = Path(simd.__file__).parent
    return [
        package / "simd.py",
        *sorted((package / "kernels" / "cpu").glob("*.py")),
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
            found = importlib.util.spec_from_file_location(name, path)
            assert found is not None
            assert found.loader is not None
            made = importlib.util.module_from_spec(found)
            sys.modules[name] = made
            found.loader.exec_module(made)
            _LOADED[name] = made
        return _LOADED[name]


def name_of(spec: Spec) -> str:
    """Return the name of the module of one cell's kernel."""
    return f"memspan_kernel_{spec.variant}"


def load(spec: Spec) -> ModuleType:
    """Return the module of one cell's kernel."""
    return module(name_of(spec), lambda: f"{module_text(spec)}\n\n# {spec.room}: {_digest(spec.room)}\n")
