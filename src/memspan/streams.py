"""Every random stream of the project, by counter instead of by history.

A stream is named by a seed, a purpose and a step. Philox is a counter-based generator
(Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"), so the batch of step
4,000 is had without drawing the 3,999 before it, and no two purposes share a number.
"""

from __future__ import annotations

import functools
import hashlib

import numpy as np

from memspan.errors import ArgumentError


@functools.lru_cache(maxsize=4096)
def _purpose_key(purpose: str) -> int:
    return int.from_bytes(hashlib.blake2b(purpose.encode(), digest_size=8).digest(), "little")


def stream(seed: int, purpose: str, step: int = 0) -> np.random.Generator:
    """Return the generator that belongs to (seed, purpose, step) and to nothing else.

    Args:
        seed: the run's seed, 0 ≤ seed < 2⁶⁴.
        purpose: what the numbers are for, for instance ``"train palindrome length=20"``.
        step: which draw of that purpose, 0 ≤ step < 2⁶⁴.

    Raises:
        ArgumentError: seed or step outside its range.

    Example:
        >>> once, again = (stream(0, "train", 7).integers(10, size=3) for _ in range(2))
        >>> bool((once == again).all())
        True
    """
    if not (0 <= seed < 2**64 and 0 <= step < 2**64):
        raise ArgumentError(f"seed {seed} and step {step} must be in 0 … 2⁶⁴ − 1")
    key = np.array([seed, _purpose_key(purpose)], dtype=np.uint64)
    counter = np.array([0, 0, step, 0], dtype=np.uint64)  # the two low words count within the step
    return np.random.Generator(np.random.Philox(key=key, counter=counter))
