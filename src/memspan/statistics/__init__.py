"""Numbers from runs, and intervals for them.

``summarise`` turns the full-resolution curves of one run into the numbers every claim rests on, so
thinned and imported runs serve all claims. The rest turns numbers of several runs into estimates.
"""

from memspan.statistics.aggregate import (
    aggregate_iqm,
    aggregate_mean,
    aggregate_median,
    aggregate_optimality_gap,
    create_performance_profile,
    get_interval_estimates,
    probability_of_improvement,
)
from memspan.statistics.intervals import Interval, bootstrap_interval, paired_difference, wilson
from memspan.statistics.summary import Dip, find_dips, summarise
from memspan.statistics.survival import Survival, log_rank, survival

__all__ = [
    "Dip",
    "Interval",
    "Survival",
    "aggregate_iqm",
    "aggregate_mean",
    "aggregate_median",
    "aggregate_optimality_gap",
    "bootstrap_interval",
    "create_performance_profile",
    "find_dips",
    "get_interval_estimates",
    "log_rank",
    "paired_difference",
    "probability_of_improvement",
    "summarise",
    "survival",
    "wilson",
]
