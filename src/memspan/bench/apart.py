"""Measurements that need a process of their own: another instruction set, a first start, a peak of memory."""

from __future__ import annotations

import dataclasses
import tempfile
import time
from pathlib import Path
from typing import Any

from memspan.bench.points import CELLS, Point
from memspan.bench.process import alone
from memspan.bench.timing import keep_memory

_AVX2_FEATURES = (
    "+sse,+sse2,+sse3,+ssse3,+sse4.1,+sse4.2,+popcnt,+avx,+avx2,+fma,+bmi,+bmi2,+f16c,+lzcnt,+movbe"
)
AVX2 = {
    "NUMBA_CPU_NAME": "haswell",
    "NUMBA_CPU_FEATURES": _AVX2_FEATURES,
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "ATEN_CPU_CAPABILITY": "avx2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
}
"""The environment that holds both sides to AVX2; the name alone would leave Numba the host's features."""


def avx2() -> dict[str, Any]:
    """Return the LSTM's row at the centre on one thread, both sides held to AVX2."""
    return alone("memspan.bench.apart:_centre_row", **AVX2)


def _centre_row() -> dict[str, Any]:
    from memspan import simd
    from memspan.bench.kernels import measure
    from memspan.bench.sides import DENSE, FRESH

    keep_memory()
    if simd.LANES != 8:
        return {"note": "not measured: this processor's vectors do not hold 8 floats under AVX2"}
    rows = {row["peer"]: row for row in measure(Point("lstm", threads=1))}
    fresh = rows[DENSE + FRESH]
    return rows[DENSE] | {"fresh_ms": fresh["peer_ms"], "fresh_ratio": fresh["ratio"]}


def compiling() -> dict[str, Any]:
    """Return cell → seconds of its first training call, with an empty cache and with a filled one."""
    found = {}
    for cell in CELLS:
        with tempfile.TemporaryDirectory() as cache:
            cold, cached = (
                alone("memspan.bench.apart:_first_call", cell, MEMSPAN_CACHE_DIR=cache) for _ in range(2)
            )
        found[cell] = {"cold_seconds": cold, "cached_seconds": cached}
    return found


def _first_call(cell: str) -> float:
    """Return the seconds of a cell's first call, torch being imported already."""
    from memspan.bench.sides import Problem, ours

    call = ours(Problem.at(Point(cell, T=2, B=4, H=32)))
    began = time.perf_counter()
    call()
    return round(time.perf_counter() - began, 2)


def memory(T: int = 100_000, B: int = 16, H: int = 128) -> dict[str, Any]:
    """Return the peak of an LSTM's training pass above what the process held before, in MiB."""
    return alone("memspan.bench.apart:_peak", T, B, H)


def _peak(T: int, B: int, H: int) -> dict[str, Any]:
    from memspan.bench.sides import Problem, ours

    ours(Problem.at(Point("lstm", T=8, B=B, H=H)))()  # compiled, warm
    call = ours(_slim(Problem.at(Point("lstm", T=8, B=B, H=H)), T))
    before = _mib("VmRSS")
    began = time.perf_counter()
    call()
    seconds = round(time.perf_counter() - began, 2)
    peak = _mib("VmHWM")
    above = None if peak is None or before is None else round(peak - before)
    return {"T": T, "B": B, "H": H, "before_mib": before, "above_mib": above, "seconds": seconds}


def _slim(problem: Any, T: int) -> Any:
    """Return the problem with a longer input, without gradients for every step."""
    import torch

    return dataclasses.replace(problem, x=torch.randn(1, T, problem.point.B, 1), above=problem.above[:, -1:])


def _mib(line: str) -> int | None:
    """Return a line of this process' status in MiB; None where the system does not tell."""
    try:
        text = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return None
    return next((int(row.split()[1]) // 1024 for row in text.splitlines() if row.startswith(line)), None)
