"""Which transform, cell and kernel an example's number stands for.

The first numbers go through every combination once; all further ones are drawn, cheap transforms more often.
"""

from __future__ import annotations

import functools

from trust import judge  # noqa: F401  (registers the transforms)
from trust.examples import CELLS, draws, kernels_of
from trust.transform import TRANSFORMS, Transform

Stratum = tuple[str, str, str]
COUNT = 20_000
"""Examples of the slow set."""
KERNELS = ("cpu", "sparse", "reference", "auto")


def combinations(t: Transform) -> list[Stratum]:
    """Return every stratum of a transform."""
    return [(t.name, cell, kernel) for cell in CELLS if t.fits(cell) for kernel in kernels_of(cell)]


def _of_kernels(t: Transform, turn: int) -> list[Stratum]:
    """Return one stratum a kernel; cells take turns."""
    found = []
    for place, kernel in enumerate(KERNELS):
        fitting = [stratum for stratum in combinations(t) if stratum[2] == kernel]
        found += [fitting[(turn + 3 * place) % len(fitting)]] if fitting else []
    return found


@functools.cache
def every_combination() -> tuple[Stratum, ...]:
    """Return the strata of the first numbers; a dear transform meets each kernel once."""
    strata: list[Stratum] = []
    for turn, t in enumerate(TRANSFORMS.values()):
        strata += _of_kernels(t, turn) if t.dear else combinations(t)
    return tuple(strata)


@functools.cache
def short_set() -> tuple[int, ...]:
    """Return the numbers of the short set: each transform with every fused cell, in turn with the others.

    A dear transform comes once, with the dense kernel.
    """
    numbers: list[int] = []
    turns = {name: turn for turn, name in enumerate(TRANSFORMS)}
    for number, (name, cell, kernel) in enumerate(every_combination()):
        turn, place = turns[name], CELLS.index(cell)
        if TRANSFORMS[name].dear:
            wanted = kernel == "cpu"
        elif kernel == "reference":
            wanted = (turn + place) % 7 == 0
        elif cell.startswith("open") and kernel != "sparse":
            wanted = kernel == "auto" and (turn + place) % 4 == 0  # dense, an open cell is a gated one
        else:
            wanted = kernel != "auto"
        if wanted:
            numbers.append(number)
    return tuple(numbers)


def stratum(number: int) -> Stratum:
    """Return the stratum of an example's number."""
    first = every_combination()
    if number < len(first):
        return first[number]
    g = draws(number, "stratum")
    names = list(TRANSFORMS)
    weights = [TRANSFORMS[name].weight for name in names]
    t = TRANSFORMS[str(g.choice(names, p=[w / sum(weights) for w in weights]))]
    every = combinations(t)
    fused = [s for s in every if s[2] in ("cpu", "sparse")]
    chosen = fused if fused and g.random() < 0.75 else every
    return chosen[int(g.integers(len(chosen)))]
