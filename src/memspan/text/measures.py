"""Measures of generated text and of predictions: pure functions, each with its definition.

A *word* is a longest stretch of letters, in lower case. A word that touches either end of a sample may have
been cut there and is not looked at.
"""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Iterable, Sequence

import numpy as np

LETTERS = re.compile(r"[^\W\d_]+")


def dictionary(text: str) -> frozenset[str]:
    """Return the words of a whole text: nothing from the system, only what the corpus itself spells.

    Example:
        >>> sorted(dictionary("No soldier shall,\\nno Soldier."))
        ['no', 'shall', 'soldier']
    """
    return frozenset(word.lower() for word in LETTERS.findall(text))


def words(sample: str) -> list[str]:
    """Return the words of a sample in order, without one that touches an end.

    Example:
        >>> words("rrect the People, to k")
        ['the', 'people', 'to']
    """
    found = LETTERS.finditer(sample)
    return [m.group().lower() for m in found if m.start() > 0 and m.end() < len(sample)]


def dictionary_share(samples: Iterable[str], known: frozenset[str]) -> float:
    """Return the share of the samples' words that are in the dictionary; NaN where there are no words.

    Example:
        >>> dictionary_share(["a the rigth of t"], frozenset({"the", "of"}))
        0.6666666666666666
    """
    found = [word in known for sample in samples for word in words(sample)]
    return sum(found) / len(found) if found else math.nan


def ngrams(tokens: Sequence[Hashable], n: int) -> list[tuple[Hashable, ...]]:
    """Return every stretch of n tokens in a row."""
    return [tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]


def distinct(samples: Iterable[Sequence[Hashable]], n: int) -> float:
    """Return distinct-n: different n-grams over all n-grams of all samples together; NaN without any.

    Tokens are whatever the sequences hold: words of a list, characters of a string.

    Source:
        J. Li, M. Galley, C. Brockett, J. Gao & B. Dolan (2016), "A diversity-promoting objective function
        for neural conversation models".

    Example:
        >>> distinct(["abab"], 2)
        0.6666666666666666
    """
    found = [gram for sample in samples for gram in ngrams(sample, n)]
    return len(set(found)) / len(found) if found else math.nan


def repetition(sample: Sequence[Hashable], n: int) -> float:
    """Return the share of a sample's n-grams that occurred in it before; NaN where it has none.

    Source:
        S. Welleck et al. (2020), "Neural text generation with unlikelihood training" (seq-rep-n).

    Example:
        >>> repetition("the right of the right of the".split(), 2)
        0.5
    """
    found = ngrams(sample, n)
    return 1 - len(set(found)) / len(found) if found else math.nan


def has_loop(tokens: Sequence[Hashable], times: int = 3) -> bool:
    """Return whether some stretch of tokens comes ``times`` times in a row.

    Example:
        >>> has_loop("to be or to be or to be or".split()), has_loop("to be or to be".split())
        (True, False)
    """
    periods = range(1, len(tokens) // times + 1)
    again = ([a == b for a, b in zip(tokens, tokens[p:], strict=False)] for p in periods)
    return any(_longest_run(row) >= p * (times - 1) for p, row in zip(periods, again, strict=True))


def _longest_run(row: Sequence[bool]) -> int:
    longest = run = 0
    for true in row:
        run = run + 1 if true else 0
        longest = max(longest, run)
    return longest


def newlines_per_100(samples: Iterable[str]) -> float:
    """Return newline characters per 100 characters of all samples together; NaN without any."""
    text = "".join(samples)
    return 100 * text.count("\n") / len(text) if text else math.nan


def newlines_inside_words(samples: Iterable[str], known: frozenset[str]) -> float:
    """Return the share of newlines that stand inside a word; NaN without any newline.

    A newline is inside a word if letters stand on both sides of it, at least one of the two pieces is no word
    of the dictionary, and put together they are one. Pieces that touch an end of the sample are not judged.

    Example:
        >>> newlines_inside_words(["of peo\\nple and\\nof "], frozenset({"of", "people", "and"}))
        0.5
    """
    inside = total = 0
    for sample in samples:
        total += sample.count("\n")
        for m in re.finditer(r"(?<=[\W\d_])([^\W\d_]+)\n(?=([^\W\d_]+)[\W\d_])", sample):
            left, right = m.group(1).lower(), m.group(2).lower()
            inside += left + right in known and not {left, right} <= known
    return inside / total if total else math.nan


def bits_per_character(log_probabilities: np.ndarray) -> float:
    """Return the mean of −log₂ p over characters, from natural logarithms (N,); NaN without any.

    Example:
        >>> bits_per_character(np.log([0.5, 0.125]))
        2.0
    """
    return float(-np.mean(log_probabilities) / math.log(2)) if np.size(log_probabilities) else math.nan


def accuracy_by_position(correct: np.ndarray) -> np.ndarray:
    """Return the share of windows right at each position: (T, B) booleans → (T,)."""
    return np.asarray(correct, np.float64).mean(axis=1)


def identical_share(texts: Sequence[str]) -> float:
    """Return the share of pairs of texts that are the same, of all pairs; NaN with fewer than two.

    Example:
        >>> identical_share(["a", "a", "b"])
        0.3333333333333333
    """
    pairs = [a == b for i, a in enumerate(texts) for b in texts[i + 1 :]]
    return sum(pairs) / len(pairs) if pairs else math.nan
