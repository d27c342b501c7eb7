"""Which transform, cell and kernel an example's number stands for.

The first numbers go through every combination once and are the short set; all further ones are drawn, cheap
transforms more often.
"""

from __future__ import annotations

import functools

from trust import judge  # noqa: F401  (registers the transforms)
from trust.examples import CELLS, draws, kernels_of
from trust.transform import TRANSFORMS, Transform

DEAR = 0.2
"""Weight below which a transform compiles, traces or starts processes, and costs a second or more."""
Stratum = tuple[str, str, str]


def combinations(t: Transform) -> list[Stratum]:
    """Return every stratum of a transform."""
    return [(t.name, cell, kernel) for cell in CELLS if t.fits(cell) for kernel in kernels_of(cell)]


@functools.cache
def short_set() -> tuple[Stratum, ...]:
    """Return the strata of the first numbers; a dear transform meets each kernel once, cells in turn."""
    strata: list[Stratum] = []
    for turn, t in enumerate(TRANSFORMS.values()):
        every = combinations(t)
        if t.weight >= DEAR:
            strata += every
            continue
        for place, kernel in enumerate(("cpu", "sparse", "reference", "auto")):
            fitting = [stratum for stratum in every if stratum[2] == kernel]
            if fitting:
                strata.append(fitting[(turn + 3 * place) % len(fitting)])
    return tuple(strata)


def stratum(number: int) -> Stratum:
    """Return the stratum of an example's number."""
    first = short_set()
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
