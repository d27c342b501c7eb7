"""What generation and saving must know of a character model, and the state that goes from call to call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn

from memspan.config import Recipe, RunConfig
from memspan.layers.recurrent import Recurrent
from memspan.text.vocabulary import Vocabulary


@dataclass(frozen=True)
class TextState:
    """What a model remembers of the rows it has read.

    Shapes:
        every part (layers, B, H); position (B,), the characters read, on which clocks run.
    """

    parts: tuple[Tensor, ...]
    position: Tensor

    def rows(self, chosen: Tensor) -> TextState:
        """Return the state of some rows."""
        return TextState(tuple(part[:, chosen] for part in self.parts), self.position[chosen])


class Form(Protocol):
    """Vocabulary, page and parts of a character model."""

    vocabulary: Vocabulary
    recipe: Recipe
    run: RunConfig | None
    embedding: nn.Embedding | None
    recurrent: Recurrent
    read_out: nn.Linear
    training: bool

    @property
    def temperature(self) -> float:
        """T, which divides the energies."""

    def outputs(
        self, symbols: Tensor, state: TextState | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, TextState]:
        """Return the last layer's outputs (T, B, H) and the state after each row's length."""

    def state_dict(self) -> dict[str, Tensor]:
        """Return name → weight."""

    def train(self, mode: bool = True) -> object:
        """Switch dropout and leaks on or off."""
