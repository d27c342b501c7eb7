"""Imports a generated module, which compiles what the disk does not hold. Light: no torch."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType


def execute(name: str, path: str) -> ModuleType:
    """Import the module at a path by a name, and mark it compiled."""
    found = importlib.util.spec_from_file_location(name, path)
    assert found is not None
    assert found.loader is not None
    made = importlib.util.module_from_spec(found)
    sys.modules[name] = made
    found.loader.exec_module(made)
    mark(Path(path)).touch()
    return made


def mark(path: Path) -> Path:
    """Return the file that says that the module at a path was compiled here."""
    return path.with_suffix(".compiled")
