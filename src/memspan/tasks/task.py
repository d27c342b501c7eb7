"""What a task is: a source of sequences whose chance level is known in closed form."""

from __future__ import annotations

import abc
from dataclasses import dataclass, fields
from typing import ClassVar

import numpy as np


@dataclass(frozen=True)
class Batch:
    """One batch of sequences, time first.

    Shapes:
        inputs: integer symbols (T, B), or real vectors (T, B, D).
        targets: (B,) class numbers.
    """

    inputs: np.ndarray
    targets: np.ndarray


class Task(abc.ABC):
    """A source of sequences. Subclasses are frozen dataclasses; their fields are the difficulty."""

    name: ClassVar[str]
    symbols: ClassVar[int]
    """Number of distinct input symbols."""
    classes: ClassVar[int]
    """Number of possible answers."""
    solved_at: ClassVar[float]
    """Held-out accuracy from which the task counts as solved."""

    @abc.abstractmethod
    def sample(self, generator: np.random.Generator, n: int) -> Batch:
        """Draw n sequences from a random stream."""

    @property
    @abc.abstractmethod
    def steps(self) -> int:
        """Number of inputs in a sequence."""

    def chance(self) -> float:
        """Return the accuracy of the best answer given without looking, in closed form."""
        return 1.0 / self.classes

    def purpose(self, use: str) -> str:
        """Return the name of the random stream for one use of this task, for instance ``"train"``."""
        difficulty = " ".join(f"{f.name}={getattr(self, f.name)}" for f in fields(self))  # type: ignore[arg-type]
        return f"{use} {self.name} {difficulty}".rstrip()
