"""What a visitor of the app waits for, measured in a real browser: the page, a curve, the first character."""

from __future__ import annotations

import contextlib
import importlib.util
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from memspan.errors import MemspanError
from memspan.machine import code_version, machine, version

CHROMIUM = "/usr/bin/chromium"
FLAGS = (
    "--no-sandbox",  # in a container Chromium has no other choice; the only page it opens is ours
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
)
PATIENCE = 120
"""Seconds after which what is waited for will not come."""
LOOK = 1.0
"""Seconds for which the load of others is watched before a start."""

Record = dict[str, Any]
WAITS: tuple[dict[str, Any], ...] = (
    {"what": "from `memspan app` until its address answers with a page", "unit": "s", "target": 5},
    {"what": "from an arrow key on a gate's slider to the new curve", "unit": "ms", "target": 150},
    {"what": "from Write to the first character", "unit": "ms", "target": 200},
    {"what": "the same, first of all after a start", "unit": "ms", "target": None},
)
CURVE = "document.querySelector('#gate-charts .line.main').getAttribute('points')"
CHARACTER = "document.querySelector('.ch') !== null"
ARM = """([event, watched, patience]) => {
    const look = () => eval(watched), before = look();
    let began;
    addEventListener(event, pressed => { began = pressed.timeStamp }, {capture: true, once: true});
    window.waited = new Promise((done, fail) => {
        const observer = new MutationObserver(() => {
            if (began === undefined || look() === before) return;
            done(performance.now() - began);
            observer.disconnect();
        });
        observer.observe(document.body, {subtree: true, childList: true, attributes: true});
        setTimeout(() => fail(new Error('nothing changed: ' + watched)), patience);
    });
}"""
"""Notes in the page when a visitor's event came, and when what is watched was no longer what it had been."""
FORGET = "document.querySelectorAll('.ch').forEach(old => old.classList.remove('ch'))"


def measure(starts: int = 3, changes: int = 15, writings: int = 8) -> Record:
    """Start the app several times, write at once in each; after the last start move the slider and write on.

    Returns:
        The record of ``app.json``: machine and versions, the cores others used, and for each wait a row with
        its median and every repeat.

    Raises:
        MemspanError: no playwright, no Chromium, or an app that does not start.
    """
    every: tuple[list[float], ...] = ([], [], [], [])
    started, moved, wrote, wrote_first = every
    foreign: list[float | None] = []
    with _chromium() as browser:
        for start in range(starts):
            last = start == starts - 1
            foreign.append(_others())
            with _served() as (address, seconds), _visit(browser, address) as page:
                started.append(round(seconds, 2))
                wrote_first.append(_write(page))
                wrote += [_write(page) for _ in range(writings if last else 0)]
                moved += _move(page, changes if last else 0)
        versions = {"chromium": browser.version, "gradio": version("gradio"), "memspan": code_version()}
    return {
        "machine": machine() | versions,
        "foreign_cores": max((cores for cores in foreign if cores is not None), default=None),
        "rows": [
            wait | {"median": round(statistics.median(times), 2), "every": times}
            for wait, times in zip(WAITS, every, strict=True)
        ],
    }


def check() -> None:
    """Look for playwright and Chromium.

    Raises:
        MemspanError: one of them is missing.
    """
    if importlib.util.find_spec("playwright") is None:
        raise MemspanError("the app is measured in a browser, through playwright: pip install playwright")
    if not Path(CHROMIUM).exists():
        raise MemspanError(
            f"the app is measured in {CHROMIUM}, which is not there: install the system's package chromium"
        )


@contextlib.contextmanager
def _chromium() -> Iterator[Any]:
    """Yield a headless Chromium of the system, driven by playwright."""
    check()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


def _others() -> float | None:
    """Return the cores others use while nothing of ours runs."""
    from memspan.bench.timing import Watch

    watch = Watch()
    time.sleep(LOOK)
    return watch.foreign()


@contextlib.contextmanager
def _served() -> Iterator[tuple[str, float]]:
    """Start ``memspan app`` beside an empty folder; yield its address and the seconds until a page came."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "memspan", "app", "--port", "0", "--out", folder]
        began = time.perf_counter()
        server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        impatience = threading.Timer(PATIENCE, server.kill)
        impatience.start()
        try:
            address = _address(server)
            _fetch(address)
            seconds = time.perf_counter() - began
            impatience.cancel()
            yield address, seconds
        finally:
            impatience.cancel()
            server.terminate()
            server.communicate()


def _address(server: subprocess.Popen[str]) -> str:
    """Return where the app says it is."""
    said = ""
    for line in server.stderr or ():
        said = line.strip() or said
        if line.startswith("http"):
            return line.split()[0]
    raise MemspanError(f"memspan app did not start: {said or 'it said nothing'}")


def _fetch(address: str) -> None:
    """Read the page, past any proxy."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(address, timeout=PATIENCE) as answer:
        answer.read()


@contextlib.contextmanager
def _visit(browser: Any, address: str) -> Iterator[Any]:
    """Yield the loaded page."""
    page = browser.new_page(viewport={"width": 1200, "height": 1000})
    page.set_default_timeout(1000 * PATIENCE)
    page.goto(address)
    page.locator("svg.chart").first.wait_for()
    yield page
    page.close()


def _move(page: Any, changes: int) -> list[float]:
    """Return the milliseconds from each press of an arrow key on a slider to the new curve."""
    page.get_by_role("tab", name="Temporal gate").click()
    slider = page.locator("input[type=range][aria-label*='Open ratio']")
    return [_waited(page, "keydown", CURVE, lambda: slider.press("ArrowRight")) for _ in range(changes)]


def _write(page: Any) -> float:
    """Return the milliseconds from the press of Write to the first character, the text once finished."""
    page.get_by_role("tab", name="Text").click()
    page.evaluate(FORGET)
    ms = _waited(page, "click", CHARACTER, page.get_by_role("button", name="Write").click)
    page.locator("#text-right .ch .tip").first.wait_for(state="attached")
    return ms


def _waited(page: Any, event: str, watched: str, act: Callable[[], object]) -> float:
    """Act as a visitor, and return the milliseconds that the page saw go by until something changed."""
    page.evaluate(ARM, [event, watched, 1000 * PATIENCE])
    act()
    return round(page.evaluate("window.waited"), 1)
