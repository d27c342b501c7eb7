"""Runs the text of a generated module, and compiles what its file of compiled code does not hold. No torch.

One file holds the compiled code of one module, behind a checksum of the code and of everything it depends on:
so a file that is damaged, truncated or another's is as good as none. Nothing of it is unpickled before the
checksum was compared.
"""

from __future__ import annotations

import hashlib
import importlib.util
import linecache
import pickle
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numba
from numba.core.compiler import CompileResult
from numba.core.registry import cpu_target
from numba.core.serialize import dumps

from memspan.kernels.cpu import files

CODE = "_MEMSPAN_CODE"
"""The name under which a generated module holds its ``Code``; ``linked.py`` looks for it."""
_SUM = hashlib.sha256().digest_size
_IMPORTED = re.compile(r"^from ([\w.]+) import", re.MULTILINE)


class Code:
    """The compiled code of one generated module.

    Args:
        name: the module's.
        text: its source.
    """

    def __init__(self, name: str, text: str) -> None:
        self.identity = _identity(name, text)
        self.functions: dict[str, bytes] = {}
        self.changed = False
        self._content: bytes | None = None

    def load(self, content: bytes | None) -> bool:
        """Take the functions of a file's content, and return whether it is the code of this module."""
        if content is None or content[:_SUM] != self._checksum(content[_SUM:]):
            return False
        self.functions = pickle.loads(content[_SUM:])
        self._content = content
        return True

    def content(self) -> bytes:
        """Return what the file of this code holds."""
        if self._content is None:
            functions = pickle.dumps(self.functions)
            self._content = self._checksum(functions) + functions
        return self._content

    def digest(self) -> str:
        """Return the hash of the code that runs in this process, whatever the disk holds by now."""
        return self.content()[:_SUM].hex()

    def of(self, function: Any) -> _Cache:
        """Return what Numba asks for the compiled code of one function."""
        return _Cache(self, function.__qualname__)

    def keep(self, name: str, result: Any) -> None:
        """Take in a function that was compiled just now."""
        self.functions[name] = dumps(result._reduce())
        self.changed = True
        self._content = None

    def _checksum(self, functions: bytes) -> bytes:
        return hashlib.sha256(self.identity + functions).digest()


class _Cache:
    """Numba's interface to a cache, for one function of one signature."""

    def __init__(self, code: Code, name: str) -> None:
        self.code, self.name = code, name

    def load_overload(self, signature: Any, context: Any) -> Any:
        """Return the compiled function, or None."""
        context.refresh()
        data = self.code.functions.get(self.name)
        if data is None:
            return None
        try:
            return CompileResult._rebuild(context, *pickle.loads(data))
        except Exception:  # whatever is wrong with code from a disk, compiling it anew mends it
            return None

    def save_overload(self, signature: Any, result: Any) -> None:
        """Keep a function unless it holds addresses of this process."""
        if not result.library.has_dynamic_globals:
            self.code.keep(self.name, result)


def _identity(name: str, text: str) -> bytes:
    """Return the hash of all that a module's compiled code depends on.

    The folder's name knows the package's own sources; a cell of somebody else's lies outside the package, and
    a generated module may continue another one.
    """
    target = cpu_target.target_context.codegen().magic_tuple()
    facts = [name, text, repr(target), numba.__version__, str(sys.implementation.cache_tag)]
    digest = hashlib.sha256(repr(facts).encode())
    for imported in _IMPORTED.findall(text):
        code = getattr(sys.modules.get(imported), CODE, None)
        digest.update(_source(imported) if code is None else code.identity)
    return digest.digest()


def _source(module: str) -> bytes:
    found = None if module.startswith("memspan.") else importlib.util.find_spec(module)
    source = None if found is None or found.origin is None else files.read(Path(found.origin))
    return hashlib.sha256(source or b"").digest()


def code_of(module: ModuleType) -> Code:
    """Return the compiled code of a generated module."""
    code: Code = getattr(module, CODE)
    return code


def code_file(path: Path) -> Path:
    """Return the file with the compiled code of the module at a path."""
    return path.with_suffix(".code")


def execute(name: str, path: Path, text: str, sent: bytes | None = None) -> tuple[ModuleType, OSError | None]:
    """Run a module's text under a name.

    Args:
        path: where the module lies; the text is not read from there, nor need it be there.
        sent: what a file of its compiled code would hold, from another process.

    Returns:
        The module, and why its compiled code could not be kept, if so.
    """
    made = ModuleType(name)
    made.__file__ = str(path)
    code = Code(name, text)
    if not code.load(sent):
        code.load(files.read(code_file(path)))
    setattr(made, CODE, code)
    # Tracebacks and debuggers show the text that runs.
    linecache.cache[str(path)] = len(text), None, text.splitlines(keepends=True), str(path)
    sys.modules[name] = made
    try:
        exec(compile(text, str(path), "exec"), made.__dict__)
    except BaseException:
        del sys.modules[name]
        raise
    return made, files.write(code_file(path), code.content()) if code.changed else None


def compile_for_another(name: str, path: str) -> None:
    """Compile the module whose text comes in and send its compiled code out, in a process that helps."""
    made, _ = execute(name, Path(path), sys.stdin.buffer.read().decode())
    sys.stdout.buffer.write(code_of(made).content())
