"""What a result was made with: processor, system, versions, and a hash of this package's source."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import math
import os
import platform
from pathlib import Path


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def free_memory() -> int:
    """Return the bytes that new processes may take: what is free, within this container's limit."""
    limits = [_container_memory()]
    try:
        lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text("ascii").splitlines())
        limits.append(int(lines["MemAvailable"].split()[0]) * 1024)
    except (OSError, KeyError):
        limits.append(4 * 2**30)  # a system that does not tell: what a small laptop has to give
    return int(min(limits))


def _container_memory() -> float:
    group = Path("/sys/fs/cgroup")
    try:
        return int((group / "memory.max").read_text()) - int((group / "memory.current").read_text())
    except (OSError, ValueError):  # no such group, or "max"
        return math.inf


@functools.cache
def processor() -> str:
    """Return the processor's name, with family and model where the system tells: some names hide them."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").partition("\n\n")[0].splitlines()
    except OSError:
        lines = []
    told = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    name = told.get("model name") or platform.processor() or platform.machine()
    if not {"cpu family", "model"} <= told.keys():
        return name
    return f"{name}, family {told['cpu family']}, model {told['model']}"


@functools.cache
def code_version() -> str:
    """Return this package's version and a hash of its source files."""
    root = Path(__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes())
    return f"{version('memspan')}+{digest.hexdigest()[:8]}"


def version(distribution: str) -> str:
    """Return the installed version of a distribution, or ``"not installed"``."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def summary() -> str:
    """Return processor, cores and the versions that decide bits, in one line."""
    about = machine()
    versions = ", ".join(f"{name} {about[name]}" for name in ("torch", "numpy", "numba"))
    return f"{about['processor']}, {about['cores']} cores, {versions}"


def machine() -> dict[str, str | int]:
    """Return processor, cores, system and the versions that decide bits and speed."""
    return {
        "processor": processor(),
        "cores": cores(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "numpy", "numba", "llvmlite")},
    }
