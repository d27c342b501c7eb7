"""The app's benchmark without a browser: its page, and what is said where a browser is missing."""

import pytest

from memspan.bench import app
from memspan.bench.app_page import page, write
from memspan.cli import main
from memspan.errors import MemspanError

TIMES = ([3.1, 2.9, 3.4], [41.0, 52.5], [93.25, 88.0], [2412.0, 1998.0, 3120.0])
FOUND = {
    "machine": {"processor": "a processor", "cores": 2, "chromium": "1.2"},
    "foreign_cores": 0.02,
    "rows": [
        wait | {"median": sorted(every)[len(every) // 2], "every": every}
        for wait, every in zip(app.WAITS, TIMES, strict=True)
    ],
}


def test_the_page_says_every_wait_beside_its_target(tmp_path):
    told = write(FOUND, tmp_path).read_text(encoding="utf-8")
    assert "**3.1 s** | 5 s | 3 | 2.9 … 3.4 |" in told
    assert "**52.5 ms** | 150 ms | 2 | 41 … 52.5 |" in told
    assert "**93.2 ms** | 200 ms | 2 | 88 … 93.2 |" in told
    assert "**2,412 ms** |  | 3 | 1,998 … 3,120 |" in told
    assert "* chromium: 1.2" in told
    assert '"every": [3.1, 2.9, 3.4]' in (tmp_path / "app.json").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("cores", "told"), [(0.02, "up to 0.02 cores.\n"), (1.5, "are theirs too"), (None, "not known")]
)
def test_the_page_says_what_others_did(cores, told):
    assert told in page(FOUND | {"foreign_cores": cores})


def test_a_missing_browser_is_named(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(app, "CHROMIUM", str(tmp_path / "chromium"))
    assert main(["bench", "app", "--busy", "--out", str(tmp_path)]) == 1
    assert str(tmp_path / "chromium") in capsys.readouterr().err
    monkeypatch.setattr(app.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MemspanError, match="playwright"):
        app.check()


def test_an_app_that_does_not_start_is_told_with_its_last_words(monkeypatch):
    monkeypatch.setattr(app.sys, "executable", "/bin/false")
    with pytest.raises(MemspanError, match="did not start"), app._served():
        pass
