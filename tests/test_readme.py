"""What README and docs show, runs."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
SNIPPET = re.compile(r"^```python\n(.*?)^```", re.S | re.M)


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if SNIPPET.search(page.read_text(encoding="utf-8"))],
    ids=lambda page: page.stem,
)
def test_a_page_s_snippets_run_one_after_the_other(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "snippet"}
    for number, code in enumerate(SNIPPET.findall(page.read_text(encoding="utf-8"))):
        exec(compile(code, f"{page.name}, snippet {number}", "exec"), names)


def test_commands_named_in_the_readme_exist():
    from memspan.cli.parse import VERBS

    named = re.findall(r"memspan (\w+)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert set(named) & set(VERBS) >= {"train", "runs", "doctor"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_inside_the_repository_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
        if not re.match(r"[a-z]+:", target):
            assert (page.parent / target).exists(), target
