"""Run examples by their numbers, and print what came out."""

from __future__ import annotations

import argparse
import collections

from trust.judge import RIGHT, example_of, judge
from trust.pool import Result, run_all
from trust.strata import every_combination, short_set, stratum
from trust.transform import TRANSFORMS


def main() -> None:
    """Run one example in this process, or many in others."""
    parser = argparse.ArgumentParser(prog="python -m trust", description=__doc__)
    parser.add_argument("--example", type=int, help="run one, in this process")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=len(every_combination()))
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--transform", default="", help="only transforms whose name holds this")
    parser.add_argument("--short", action="store_true", help="the set that scripts/test runs")
    parser.add_argument("--step", type=int, default=1)
    options = parser.parse_args()
    if options.example is not None:
        print(example_of(options.example, stratum(options.example)))
        print(judge(options.example, stratum(options.example)))
        return
    chosen = range(options.first, options.first + options.count, options.step)
    numbers = [n for n in (short_set() if options.short else chosen) if options.transform in stratum(n)[0]]
    results = run_all(numbers, options.processes, report)
    summary(results)


def report(result: Result) -> None:
    """Print a finding as soon as it is there."""
    if result.kind not in RIGHT:
        print(
            f"{result.kind.upper()} {example_of(result.number, stratum(result.number))}\n    {result.text}",
            flush=True,
        )


def summary(results: list[Result]) -> None:
    """Print how often each outcome came, and which transforms cost most."""
    print(dict(collections.Counter(result.kind for result in results)))
    spent: collections.Counter[str] = collections.Counter()
    count: collections.Counter[str] = collections.Counter()
    worst: dict[str, float] = {}
    for result in results:
        name = stratum(result.number)[0]
        spent[name] += result.spent  # type: ignore[assignment]
        count[name] += 1
        if result.kind == "right":
            worst[name] = max(worst.get(name, 0.0), result.error)
    for name, seconds in spent.most_common():
        mean = 1000 * seconds / count[name]
        error = worst.get(name, 0)
        print(f"{name}: {count[name]} examples, {seconds:.1f} s, {mean:.0f} ms each, error {error:.1g}")
    missing = [name for name in TRANSFORMS if name not in count]
    print(f"{sum(spent.values()):.0f} s in all; not met: {', '.join(missing) or 'none'}")


if __name__ == "__main__":
    main()
