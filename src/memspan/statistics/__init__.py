"""Numbers from runs, and intervals for them.

``summarise`` turns the full-resolution curves of one run into the numbers every claim rests on, so
thinned and imported runs serve all claims. The rest turns numbers of several runs into estimates.
"""

from memspan.statistics.intervals import (
    Interval,
    bootstrap_interval,
    iqm,
    paired_difference,
    probability_of_improvement,
    wilson,
)
from memspan.statistics.summary import Dip, find_dips, summarise
from memspan.statistics.survival import Survival, log_rank, survival

__all__ = [
    "Dip",
    "Interval",
    "Survival",
    "bootstrap_interval",
    "find_dips",
    "iqm",
    "log_rank",
    "paired_difference",
    "probability_of_improvement",
    "summarise",
    "survival",
    "wilson",
]
