"""The app in a real browser, each tab used as a visitor would."""

import re

WORDS = "document.querySelector('#train-words').innerText"
CONTROLS = "input, button, textarea, select"
NAMELESS = f"""() => [...document.querySelectorAll('{CONTROLS}')].filter(e => e.offsetParent
    && !(e.labels?.length || e.getAttribute('aria-label') || e.innerText.trim() || e.title))
    .map(e => e.outerHTML.slice(0, 200))"""


def looks_like_an_image(file):
    return file.stat().st_size > 10_000 and file.read_bytes()[:4] == b"\x89PNG"


def test_moving_a_gate_slider_redraws_the_curve(visit, tmp_path):
    page = visit("Temporal gate")
    before = page.locator("#gate-charts .line.main").first.get_attribute("points")
    box = page.get_by_label("Open ratio r", exact=False).first
    box.fill("0.1")
    page.wait_for_function(
        "old => document.querySelector('#gate-charts .line.main').getAttribute('points') !== old", arg=before
    )
    assert "Open for" in page.locator("#gate-charts .facts").inner_text()
    page.screenshot(path=tmp_path / "gate.png")
    assert looks_like_an_image(tmp_path / "gate.png")


def test_training_is_watched_and_stopped(visit, tmp_path):
    page = visit("Memory span")
    page.get_by_label("Length T (digits)").first.fill("5")
    page.get_by_role("button", name="Train").click()
    words = page.locator("#train-words")
    page.wait_for_function(
        "() => /Step [1-9]/.test(document.querySelector('#train-words').innerText)", timeout=60_000
    )
    page.get_by_role("button", name="Stop").click()
    page.wait_for_function(f"() => /stopped|done/.test({WORDS})")
    assert re.search(r"Step [\d,]+ of 2,000", words.inner_text())
    page.screenshot(path=tmp_path / "train.png")
    assert looks_like_an_image(tmp_path / "train.png")


def test_without_a_report_the_tab_says_how_to_make_one(visit):
    page = visit("Report")
    assert "memspan reproduce" in page.locator("#report-page").inner_text()


def test_every_control_has_a_name_and_the_page_fits_a_phone(visit):
    page = visit(width=390, height=800)
    for tab in ("Temporal gate", "Memory span", "Report"):
        page.get_by_role("tab", name=tab).click() if page.get_by_role("tab", name=tab).is_visible() else None
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= 390, f"{tab} is {width} pixels wide"
    assert page.evaluate(NAMELESS) == []
