"""Vocabulary: which characters a text is made of, and the number that stands for each."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from memspan.errors import ArgumentError, UnknownNameError, shown

Unit = Literal["char", "byte"]
Unknown = Literal["error", "skip"]
BYTES = 256


class UnknownCharacterError(ArgumentError):
    """A character that the vocabulary does not have."""


@dataclass(frozen=True)
class Vocabulary:
    """The symbols of a text as a value: two are equal if they number the same characters alike.

    Args:
        unit: ``"char"``, Unicode characters, or ``"byte"``, the 256 values of a byte.
        symbols: the distinct characters in the order of their code points; empty for bytes.

    Raises:
        ArgumentError: characters out of order or twice, or characters named for bytes.

    Example:
        >>> vocabulary = Vocabulary.of(["banana"])
        >>> vocabulary.symbols, vocabulary.encode("nab").tolist(), vocabulary.decode([1, 0])
        ('abn', [2, 0, 1], 'ba')
    """

    unit: Unit
    symbols: str = ""

    def __post_init__(self) -> None:
        if self.unit not in get_args(Unit):
            raise UnknownNameError("unit", self.unit, get_args(Unit))
        if self.unit == "byte" and self.symbols:
            raise ArgumentError("a vocabulary of bytes names no characters; expected symbols ''")
        points = code_points(self.symbols).astype(np.int64)
        if np.any(np.diff(points) <= 0):
            raise ArgumentError("a vocabulary's characters must be distinct and sorted by code point")
        if np.any((points >= 0xD800) & (points < 0xE000)):
            raise ArgumentError("a vocabulary's characters must not be halves of surrogate pairs")

    @classmethod
    def of(cls, pieces: Iterable[str]) -> Vocabulary:
        """Return the vocabulary of the characters that occur in any of the pieces."""
        seen = np.zeros(0x110000, bool)
        for piece in pieces:
            seen[code_points(piece)] = True
        return cls("char", "".join(map(chr, np.flatnonzero(seen))))

    def __len__(self) -> int:
        return BYTES if self.unit == "byte" else len(self.symbols)

    @property
    def dtype(self) -> np.dtype:
        """The smallest unsigned type that numbers every symbol."""
        return np.min_scalar_type(max(len(self) - 1, 0))

    @functools.cached_property
    def _numbers(self) -> np.ndarray:
        """Code point → number; K for one it does not have, the last entry stands for all above."""
        points = code_points(self.symbols)
        size = int(points[-1]) + 2 if len(points) else 1
        table = np.full(size, len(points), np.uint32)
        table[points] = np.arange(len(points))
        return table

    def encode(self, text: str | bytes, unknown: Unknown = "error") -> np.ndarray:
        """Return a text's numbers.

        Args:
            text: characters; bytes are taken as UTF-8 for characters, characters as UTF-8 for bytes.
            unknown: what to do with a character the vocabulary does not have: ``"error"`` or ``"skip"``.

        Returns:
            (N,) of ``dtype``.

        Raises:
            UnknownCharacterError: names the first such character and where it stands.
        """
        if self.unit == "byte":
            return np.frombuffer(text.encode() if isinstance(text, str) else text, np.uint8)
        if isinstance(text, bytes):
            text = text.decode()
        numbers = self._numbers[np.minimum(code_points(text), len(self._numbers) - 1)]
        strange = numbers == len(self)
        if strange.any():
            if unknown == "error":
                raise _complaint(text, int(np.argmax(strange)))
            numbers = numbers[~strange]
        return numbers.astype(self.dtype)

    def decode(self, numbers: np.ndarray | Iterable[int]) -> str:
        """Return the text of some numbers; bytes that are no UTF-8 come out as U+FFFD."""
        array = np.asarray(numbers if isinstance(numbers, np.ndarray) else list(numbers), np.int64)
        if array.size and (array.min() < 0 or array.max() >= len(self)):
            raise ArgumentError(f"symbols must be in 0 … {len(self) - 1}, got {array.min()} … {array.max()}")
        if self.unit == "byte":
            return array.astype(np.uint8).tobytes().decode(errors="replace")
        return code_points(self.symbols)[array].tobytes().decode("utf-32-le")

    def to_json(self) -> dict[str, str]:
        """Return the vocabulary as JSON values."""
        return {"unit": self.unit, "symbols": self.symbols}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Vocabulary:
        """Return the vocabulary that ``to_json`` wrote.

        Raises:
            ArgumentError: something is missing, superfluous or of the wrong kind.
        """
        if not _is_stored(values):
            raise ArgumentError(
                f"a vocabulary is {{'unit': …, 'symbols': …}}, two texts; got {shown(values)}"
            )
        return cls(values["unit"], values["symbols"])


def _is_stored(values: object) -> bool:
    if not isinstance(values, Mapping) or set(values) != {"unit", "symbols"}:
        return False
    return all(isinstance(value, str) for value in values.values())


def code_points(text: str) -> np.ndarray:
    """Return the code points of a text, uint32 (N,)."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")


def _complaint(text: str, at: int) -> UnknownCharacterError:
    character = text[at]
    return UnknownCharacterError(
        f"{character!r} (U+{ord(character):04X}, character {at} of the text) is not in the vocabulary;"
        " leave it out, or skip such characters (--unknown skip)"
    )
