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
        targets: (B,), or (B, A) where several answers are asked for: class numbers, or real numbers.
        times: timestamps (T,) of all rows or (T, B); None where steps are merely counted. Past a row's
            end its last time is repeated.
        lengths: (B,) steps of each row; None where every row fills T. Past a row's end inputs are 0.
    """

    inputs: np.ndarray
    targets: np.ndarray
    times: np.ndarray | None = None
    lengths: np.ndarray | None = None


class Task(abc.ABC):
    """A source of sequences. Subclasses are frozen dataclasses; their fields are the difficulty."""

    name: ClassVar[str]
    symbols: ClassVar[int]
    """Number of distinct input symbols; 0 where inputs are real vectors."""
    features: ClassVar[int] = 1
    """D, numbers in a real input vector."""
    classes: ClassVar[int]
    """Number of possible answers; 0 where the answer is a real number."""
    answers: ClassVar[int] = 1
    """A, answers asked of each sequence; it counts as right if all of them are."""
    solved_at: ClassVar[float]
    """Held-out score from which the task counts as solved."""

    @abc.abstractmethod
    def sample(self, generator: np.random.Generator, n: int) -> Batch:
        """Draw n sequences from a random stream."""

    @property
    @abc.abstractmethod
    def steps(self) -> int:
        """Number of inputs in a sequence, in the longest where they differ."""

    def chance(self) -> float:
        """Return the score of the best answer given without looking, in closed form.

        The score is accuracy; for a real answer, the share of its variance that is explained.
        """
        return 1.0 / self.classes**self.answers if self.classes else 0.0

    def purpose(self, use: str) -> str:
        """Return the name of the random stream for one use of this task, for instance ``"train"``."""
        difficulty = " ".join(f"{f.name}={getattr(self, f.name)}" for f in fields(self))  # type: ignore[arg-type]
        return f"{use} {self.name} {difficulty}".rstrip()
