"""What two recipes have in common when their spans are compared: steps, parameters, or seconds."""

from __future__ import annotations

import dataclasses
import statistics
import time
from typing import Literal

from memspan.config import RunConfig
from memspan.study.span_search import SpanSearch

Match = Literal["steps", "parameters", "wall"]
WARM_UP, MEASURED = 3, 8
"""Updates thrown away, and updates timed."""


def matched(search: SpanSearch, first: SpanSearch, match: Match) -> SpanSearch:
    """Return a search whose budget equals that of the first.

    Args:
        search: what is to be changed.
        first: what it is compared with.
        match: *steps*: the same number, nothing else; *parameters*: the hidden units whose number of
            parameters is nearest; *wall*: the steps, in hundreds, that take as long here, from a few
            measured at the grid's middle length. Other machines choose other steps.
    """
    if match == "steps":
        return search
    if match == "parameters":
        recipe = dataclasses.replace(
            search.recipe, hidden=_nearest_hidden(search, parameters(_middle(first)))
        )
    else:
        steps = first.recipe.steps * step_seconds(_middle(first)) / step_seconds(_middle(search))
        recipe = dataclasses.replace(search.recipe, steps=max(100, round(steps / 100) * 100))
    return dataclasses.replace(search, recipe=recipe)


def parameters(run: RunConfig) -> int:
    """Return how many weights and biases a run trains, read-out included."""
    from memspan.models.build import model_of

    return model_of(run).parameter_count()


def step_seconds(run: RunConfig) -> float:
    """Return the median seconds of one update of a run, here and now."""
    from memspan.training.pack import Pack

    pack, seconds = Pack([run]), []
    for t in range(1, WARM_UP + MEASURED + 1):
        began = time.perf_counter()
        pack.update(t)
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds[WARM_UP:])


def _middle(search: SpanSearch) -> RunConfig:
    grid = search.grid()
    return search.run(grid[len(grid) // 2], search.seeds[0])


def _nearest_hidden(search: SpanSearch, wanted: int) -> int:
    """Return the hidden units whose parameters are nearest to a number, which they grow with."""

    def count(hidden: int) -> int:
        return parameters(
            _middle(dataclasses.replace(search, recipe=dataclasses.replace(search.recipe, hidden=hidden)))
        )

    low, high = 1, 1
    while count(high) < wanted:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if count(middle) < wanted else (low, middle)
    return min((low, high), key=lambda hidden: abs(count(hidden) - wanted))
