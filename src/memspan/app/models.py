"""The character models a visitor may choose: the shipped one and the folder's, by name, never by path."""

from __future__ import annotations

import functools
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from memspan.errors import UnknownNameError

if TYPE_CHECKING:
    from memspan.models.character import CharacterModel

SHIPPED = "Bill of Rights (shipped)"
WEIGHTS = "model.safetensors"
MOST, DEEPEST = 20, 3
"""Models offered, and folders below the output folder that are looked into."""
LOADED = 4
"""Models kept in memory."""


def choices(folder: Path) -> dict[str, Path]:
    """Return name → folder of every model on offer, the shipped one first."""
    from memspan.text.shipped import shipped_model

    patterns = ["/".join(["*"] * depth + [WEIGHTS]) for depth in range(DEEPEST + 1)]
    found = sorted({file.parent for pattern in patterns for file in folder.glob(pattern)})
    return {SHIPPED: shipped_model()} | {str(path.relative_to(folder)): path for path in found[:MOST]}


def load(folder: Path, name: str) -> CharacterModel:
    """Return a model by its name on the page.

    Raises:
        UnknownNameError: a name that is not on offer, a path for instance.
        PretrainedError: a folder whose files do not belong together.
    """
    known = choices(folder)
    if name not in known:
        raise UnknownNameError("model", name, known)
    file = known[name] / WEIGHTS
    return _load(known[name], file.stat().st_mtime_ns)


_IMPORTING = threading.Lock()
WARM = threading.Event()
"""Set once a first text can begin at once."""


def ready() -> None:
    """Import torch and all that needs it, one thread at a time: a package half imported cannot be used."""
    with _IMPORTING:
        import numba  # noqa: F401

        import memspan.models.character
        import memspan.probes.gates
        import memspan.probes.gradients
        import memspan.training.train  # noqa: F401


def warm() -> None:
    """Load the shipped model and the kernel that writes, so that no visitor waits for them."""
    ready()
    from memspan.text.shipped import shipped_model

    file = shipped_model() / WEIGHTS
    _load(file.parent, file.stat().st_mtime_ns).generate("T", 1)
    WARM.set()


@functools.lru_cache(maxsize=LOADED)
def _load(path: Path, changed: int) -> CharacterModel:
    from memspan.models.character import CharacterModel

    return CharacterModel.from_pretrained(path)
