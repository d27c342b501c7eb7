"""How much of a text stands word for word in a corpus: suffix arrays of blocks of it."""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from memspan.errors import ArgumentError
from memspan.text.vocabulary import code_points

BITS = 21
"""Of a place in a block, of a rank and of a code point: three of them fit 63 bits."""
BLOCK = 2_000_000
MOST = (1 << BITS) - BLOCK - 1


class Overlap:
    """A corpus in which stretches of other texts are looked up, each look-up in logarithmic time.

    Blocks of the corpus overlap by ``longest`` characters, so that no match up to that length is lost at a
    border. Suffixes are sorted by their first ``longest`` characters, by doubling (Manber & Myers 1990).

    Args:
        corpus: the text to look in.
        longest: matches are followed up to this length.

    Example:
        >>> overlap = Overlap("we the people of the union")
        >>> overlap.lengths("the people and the").tolist()[:4], overlap.longest_match("all the people!")
        ([11, 10, 9, 8], ' the people')
    """

    def __init__(self, corpus: str, longest: int = 1024) -> None:
        if not 1 <= longest <= MOST:
            raise ArgumentError(f"longest {longest}: expected 1 … {MOST} characters")
        self.longest = longest
        starts = range(0, max(len(corpus) - longest, 1), BLOCK)
        self._blocks = [corpus[start : start + BLOCK + longest] for start in starts]
        self._suffixes = [suffix_array(block, longest) for block in self._blocks]

    def lengths(self, text: str) -> np.ndarray:
        """Return for each position of a text how many characters from there on stand in the corpus, (N,)."""
        found = [max(self._matches(text[i : i + self.longest])) for i in range(len(text))]
        return np.array(found, np.int64)

    def longest_match(self, text: str) -> str:
        """Return the longest stretch of a text that stands in the corpus, the first of equals."""
        lengths = self.lengths(text)
        if not len(lengths):
            return ""
        at = int(lengths.argmax())
        return text[at : at + int(lengths[at])]

    def novelty(self, text: str, n: int) -> float:
        """Return the share of a text's stretches of n characters that the corpus lacks; NaN without any.

        Example:
            >>> Overlap("abcabc").novelty("abcb", 2)
            0.33333333333333337
        """
        if not 1 <= n <= self.longest:
            raise ArgumentError(f"n {n}: expected 1 … {self.longest}, the longest match that is followed")
        known = self.lengths(text)[: max(len(text) - n + 1, 0)] >= n
        return float(1 - known.mean()) if len(known) else float("nan")

    def _matches(self, wanted: str) -> Iterator[int]:
        """Yield how far each block goes with ``wanted``: its two neighbours in order go furthest."""
        for block, suffixes in zip(self._blocks, self._suffixes, strict=True):
            beginning = _Beginnings(block, len(wanted))
            at = bisect.bisect_left(suffixes, wanted, key=beginning)
            beside = suffixes[max(at - 1, 0) : at + 1]
            yield max((_shared(wanted, beginning(place)) for place in beside), default=0)


@dataclass(frozen=True)
class _Beginnings:
    """Maps a place in a block to the stretch that begins there."""

    block: str
    length: int

    def __call__(self, place: int) -> str:
        return self.block[place : place + self.length]


def _shared(a: str, b: str) -> int:
    """Return how many characters two texts begin with in common."""
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def suffix_array(text: str, depth: int) -> np.ndarray:
    """Return where the suffixes of a text begin, sorted by their first ``depth`` characters at least.

    Rank of the first half, rank of the second and place share the bits of one integer: integers are sorted
    six times faster here than places by a key.

    Args:
        text: shorter than 2²¹ characters.
        depth: suffixes that agree so far may come in any order.

    Example:
        >>> suffix_array("banana", 6).tolist()
        [5, 3, 1, 0, 4, 2]
    """
    rank, place = code_points(text).astype(np.int64), np.arange(len(text))
    width, told_apart = 1, len(text) == 0
    order = place
    while width < max(depth, 2) and not told_apart:
        further = np.zeros_like(rank)
        further[:-width] = rank[width:] + 1  # past the end is less than anything
        keys = np.sort(rank << 2 * BITS | further << BITS | place)
        order, pairs = keys & (1 << BITS) - 1, keys >> BITS
        rank[order] = np.cumsum(np.diff(pairs, prepend=pairs[:1]) != 0)
        told_apart = bool(rank[order[-1]] == len(text) - 1)
        width *= 2
    return order.astype(np.int32)
