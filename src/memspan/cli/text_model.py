"""Which model the text commands mean: one that is named, else the last one trained, else the shipped one."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from memspan.text.shipped import shipped_model

if TYPE_CHECKING:
    from memspan.models.character import CharacterModel


@dataclass(frozen=True)
class ModelOptions:
    """The model to ask."""

    model: str | None = None
    """Folder of a model, or owner/name on the Hugging Face Hub; the last one trained if not given, else the
    shipped one."""
    trust: tuple[str, ...] = ()
    """Import paths (package.module:Class) of cells of your own that the model may name; their code runs."""

    def load(self) -> CharacterModel:
        """Return the model.

        Raises:
            PretrainedError: there is none, or its files do not fit each other.
        """
        from memspan.models.character import CharacterModel

        if self.model is not None:
            return CharacterModel.from_pretrained(self.model, trust=self.trust)
        return CharacterModel.from_pretrained(last_trained() or shipped_model(), trust=self.trust)


def remember(folder: Path) -> None:
    """Make a folder's model the one that is meant where none is named."""
    note = _note()
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(str(folder.resolve()), encoding="utf-8")


def last_trained() -> Path | None:
    """Return the folder of the last model trained, None if there is none or it has gone."""
    try:
        folder = Path(_note().read_text(encoding="utf-8"))
    except OSError:
        return None
    return folder if folder.is_dir() else None


def _note() -> Path:
    return (
        Path(os.environ.get("MEMSPAN_CACHE_DIR") or platformdirs.user_cache_dir("memspan"))
        / "last-text-model"
    )
