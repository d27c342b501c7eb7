"""Random examples equal the reference in float64; no process dies or hangs; docs/transforms.md says so."""

import pytest

from trust.judge import RIGHT
from trust.page import PAGE, field_of, fields, read, written
from trust.pool import run_all
from trust.strata import COUNT, every_combination, short_set, stratum
from trust.transform import TRANSFORMS


@pytest.fixture(scope="module")
def short_results():
    return run_all(short_set())


def shown(findings):
    """Return what to look at, and how to run it again."""
    lines = [f"{r.kind} #{r.number} {stratum(r.number)}: {r.text}" for r in findings[:20]]
    return "\n".join(
        [f"{len(findings)} findings; again: PYTHONPATH=tests python -m trust --example N", *lines]
    )


def test_every_example_is_right(short_results):
    findings = [result for result in short_results if result.kind not in RIGHT]
    assert not findings, shown(findings)
    assert len(short_results) == len(short_set())


def test_the_page_says_what_the_examples_show(short_results):
    page = read(PAGE.read_text(encoding="utf-8"))
    for field, words in fields(short_results).items():
        assert words <= page[field], f"{field}: run PYTHONPATH=tests python -m trust.page"


def test_the_page_is_written_from_its_fields():
    """So that no field, row or sentence was changed by hand."""
    text = PAGE.read_text(encoding="utf-8")
    assert written(read(text)) == text


def test_the_short_set_meets_every_transform_with_every_fused_cell():
    met = {stratum(number) for number in short_set()}
    for stratum_ in every_combination():
        name, cell, kernel = stratum_
        fused = "sparse" if cell.startswith("open") else "cpu"
        if not TRANSFORMS[name].dear and kernel == fused:
            assert stratum_ in met
    assert {name for name, _, _ in met} == set(TRANSFORMS)


@pytest.mark.slow
def test_twenty_thousand_examples():
    results = run_all(range(COUNT))
    findings = [result for result in results if result.kind not in RIGHT]
    assert not findings, shown(findings)
    assert len(results) == COUNT
    first = [result for result in results if result.number < len(every_combination())]
    assert PAGE.read_text(encoding="utf-8") == written(fields(first)), (
        "run: PYTHONPATH=tests python -m trust.page"
    )
    assert {field_of(result)[0] for result in results} == set(TRANSFORMS)
