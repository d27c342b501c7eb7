"""``memspan doctor``: versions, threads, device, and which kernel each cell will use and why."""

from __future__ import annotations

import importlib.util
import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from memspan.machine import code_version, machine

if TYPE_CHECKING:
    from memspan.cells.cell import Cell

_VERSIONS = ("torch", "numpy", "numba", "llvmlite", "python")


@dataclass(frozen=True)
class Doctor:
    """Say what this installation has and which kernel each cell will use here, and why."""

    warm: bool = False
    """Compile every kernel now, so that the first run does not wait."""
    json: bool = False
    """Print JSON."""

    def run(self) -> int:
        """Print the findings."""
        found = findings(self.warm)
        print(json.dumps(found, indent=2) if self.json else _told(found))
        return 0


def findings(warm: bool = False) -> dict[str, Any]:
    """Return everything ``memspan doctor`` says, as plain data."""
    import torch

    about = machine()
    return {
        "versions": {"memspan": code_version(), **{k: about[k] for k in _VERSIONS}},
        "machine": {
            **{k: v for k, v in about.items() if k not in _VERSIONS},
            "torch threads": torch.get_num_threads(),
            "device": "cuda is there, not used yet" if torch.cuda.is_available() else "cpu",
        },
        "kernels": _kernels(warm),
        "kernel cache": _cache(),
        "extras": {
            extra: all(importlib.util.find_spec(module) for module in modules)
            for extra, modules in (("lab", ("scipy", "matplotlib", "pyarrow", "jinja2")),)
        },
    }


def _cache() -> dict[str, str]:
    """Return where compiled kernels are kept, and whether new ones can be."""
    from memspan.kernels import jit

    if jit.disabled():
        return {"folder": "none is used", "state": jit.REFUSAL}
    from memspan.kernels.cpu import cache

    folder, wrong = cache.cache_folder(), cache.obstacle()
    kept = len(list(folder.glob("*.code"))) if folder.is_dir() else 0
    state = f"{kept} compiled modules"
    if wrong is not None:
        state += f"; cannot be written ({wrong}): others are compiled by every process, see MEMSPAN_CACHE_DIR"
    return {"folder": str(folder), "state": state}


def _kernels(warm: bool) -> dict[str, dict[str, str]]:
    import torch

    from memspan.cells import CELLS
    from memspan.kernels import choose

    chosen = {}
    for name in CELLS:
        cell = CELLS.resolve(name)(1, 128)
        if warm and choose(cell).kernel == "cpu":
            print(f"compiling {name} …", file=sys.stderr)
            _compile(cell)
        for dtype in (torch.float32, torch.float64):
            choice = choose(cell, dtype=dtype, device=torch.device("cpu"))
            label = f"{name}, {str(dtype).removeprefix('torch.')}"
            chosen[label] = {"kernel": choice.kernel, "reason": choice.reason}
    return chosen


def _compile(cell: Cell) -> None:
    """Run a cell forward and backward once; what had to be compiled for that stays in the cache."""
    import torch

    from memspan.kernels import unroll

    p = {name: torch.zeros(1, *shape, requires_grad=True) for name, shape in cell.parameter_shapes().items()}
    unroll(cell, p, torch.zeros(1, 2, 1, cell.input_size)).outputs.sum().backward()


def _told(found: dict[str, Any]) -> str:
    lines = []
    for part in ("versions", "machine"):
        lines += [part, *(f"  {key:14} {value}" for key, value in found[part].items())]
    lines += ["kernels", *(f"  {key:14} {v['kernel']}: {v['reason']}" for key, v in found["kernels"].items())]
    lines += ["kernel cache", *(f"  {key:14} {value}" for key, value in found["kernel cache"].items())]
    lines += ["extras"]
    for extra, there in found["extras"].items():
        lines.append(
            f"  {extra:14} " + ("installed" if there else f'not installed: pip install "memspan[{extra}]"')
        )
    return "\n".join(lines)
