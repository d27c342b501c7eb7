"""docs/transforms.md: what holds under which transform, written from the examples that prove it.

``PYTHONPATH=tests python -m trust.page`` runs every combination and writes the page; tests fail where it and
the proofs differ.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from trust.pool import Result, run_all
from trust.strata import KERNELS, every_combination, stratum
from trust.transform import TRANSFORMS

PAGE = Path(__file__).parents[2] / "docs" / "transforms.md"
Field = tuple[str, str]  # transform and kernel
INTRODUCTION = """\
# What holds under which transform

Written by `PYTHONPATH=tests python -m trust.page` from random examples: cells, sizes 0 … 9 and a few large
ones, `lengths`, `resets`, times, states, layers, directions, replicas, layouts of memory, threads. Outputs
and gradients of every example equal the reference in float64, with the kernels' buffers between guard pages;
`scripts/test` runs a part of the examples, `scripts/test --slow` 20,000.

**yes**: equal. **no**, **in part**: every example, or some, is refused with the numbered sentence;
`kernel="auto"` takes another kernel there. The sparse kernel serves cells under a time gate
without a leak; the reference serves every cell.
"""


def field_of(result: Result) -> Field:
    """Return the field of the page that an example belongs to."""
    transform, _, kernel = stratum(result.number)
    return transform, kernel


def fields(results: Iterable[Result]) -> dict[Field, set[str]]:
    """Return what every field says: ``yes`` and sentences of refusals; an example that failed says so."""
    said: dict[Field, set[str]] = {}
    for result in results:
        words = said.setdefault(field_of(result), set())
        if result.kind != "nothing":
            words.add({"right": "yes", "refused": sentence(result.text)}.get(result.kind, "FAILS"))
    return {field: words for field, words in said.items() if words}


def sentence(text: str) -> str:
    """Return a refusal without what a compiler put around it."""
    places = [text.find(word) for word in ("the cpu kernel", "the sparse kernel", "an exported")]
    start = min((place for place in places if place >= 0), default=0)
    return text[start:].split('")')[0].replace("\\'", "'")


def written(found: dict[Field, set[str]]) -> str:
    """Return the page."""
    sentences = sorted({text for words in found.values() for text in words if text != "yes"})
    lines = [INTRODUCTION, "| transform | " + " | ".join(KERNELS) + " |", "|---" * (1 + len(KERNELS)) + "|"]
    for name in TRANSFORMS:
        row = [_word(found.get((name, kernel), set()), sentences) for kernel in KERNELS]
        lines.append(f"| {name} | " + " | ".join(row) + " |")
    lines += ["", *(f"{k}. {text}" for k, text in enumerate(sentences, 1)), ""]
    return "\n".join(lines)


def _word(said: set[str], sentences: list[str]) -> str:
    """Return a field: ``yes``, or ``no`` or ``in part`` with the numbers of sentences."""
    numbers = ", ".join(str(1 + sentences.index(text)) for text in sorted(said - {"yes"}))
    if not numbers:
        return "yes" if said else ""
    return f"in part ({numbers})" if "yes" in said else f"no ({numbers})"


def read(page: str) -> dict[Field, set[str]]:
    """Return the fields of a written page."""
    lines = page.splitlines()
    sentences = dict(line.split(". ", 1) for line in lines if line[:1].isdigit())
    found: dict[Field, set[str]] = {}
    for line in lines:
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if not cells or cells[0] not in TRANSFORMS:
            continue
        for kernel, word in zip(KERNELS, cells[1:], strict=True):
            kind, _, numbers = word.partition(" (")
            said = {sentences[n] for n in numbers.rstrip(")").split(", ") if n}
            if word:
                found[cells[0], kernel] = said | ({"yes"} if kind != "no" else set())
    return found


def main() -> None:
    """Run every combination and write the page."""
    found = fields(run_all(range(len(every_combination()))))
    PAGE.write_text(written(found), encoding="utf-8")
    print(f"{PAGE.name}: {len(found)} fields", file=sys.stderr)


if __name__ == "__main__":
    main()
