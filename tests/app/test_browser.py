"""The app in a real browser, each tab used as a visitor would."""

import json
import re
import shutil

import pytest

TABS = ("Temporal gate", "Memory span", "Inside the network", "Text", "Report")
WORDS = "document.querySelector('#train-words').innerText"
CONTROLS = "input, button, textarea, select"
NAMELESS = f"""() => [...document.querySelectorAll('{CONTROLS}')].filter(e => e.offsetParent
    && !(e.labels?.length || e.getAttribute('aria-label') || e.innerText.trim() || e.title))
    .map(e => e.outerHTML.slice(0, 200))"""

SMALL = """() => [...document.querySelectorAll('svg.chart text')].filter(e => e.textContent.trim()
    && e.getClientRects().length && e.getBoundingClientRect().height < 11).map(e => e.outerHTML)"""


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


def test_a_closed_tab_stops_its_training(visit):
    page = visit("Memory span")
    page.get_by_role("button", name="Train").click()
    page.wait_for_function(f"() => /Step [1-9]/.test({WORDS})", timeout=60_000)
    watcher = visit("Memory span")
    page.context.close()
    watcher.wait_for_function(
        "() => fetch('gradio_api/call/trainings', {method: 'POST', body: '{\"data\": []}',"
        " headers: {'Content-Type': 'application/json'}}).then(r => r.json())"
        ".then(call => fetch('gradio_api/call/trainings/' + call.event_id)).then(r => r.text())"
        ".then(text => /data: \\[0\\]/.test(text))",
        timeout=30_000,
        polling=500,
    )


def test_the_inside_of_a_network_is_shown_for_what_is_typed(visit, tmp_path):
    page = visit("Inside the network")
    page.get_by_label("Sequence").fill("No person shall be")
    page.get_by_role("button", name="Look inside").click()
    charts = page.locator("#inside-charts svg.chart")
    charts.nth(1).wait_for(timeout=60_000)
    assert charts.count() == 2
    assert "17 symbols" in charts.first.get_attribute("aria-label")
    page.screenshot(path=tmp_path / "inside.png")
    assert looks_like_an_image(tmp_path / "inside.png")


def test_a_model_writes_at_two_temperatures_and_shows_what_it_weighed(visit, tmp_path):
    page = visit("Text")
    page.get_by_role("button", name="Write").click()
    page.locator("#text-right .ch .tip").first.wait_for(state="attached", timeout=60_000)
    assert page.locator("#text-left .ch").count() == page.locator("#text-right .ch").count() == 280
    page.locator("#text-left .ch").nth(20).hover()
    assert "%" in page.locator("#text-left .ch").nth(20).locator(".tip").inner_text()
    page.screenshot(path=tmp_path / "text.png")
    assert looks_like_an_image(tmp_path / "text.png")


@pytest.mark.parametrize(
    ("prompt", "told"), [("日本", "日"), ("x" * 2500, "the prompt has 2,500 characters")]
)
def test_a_prompt_that_cannot_be_read_is_refused_and_the_page_goes_on(visit, prompt, told):
    page = visit("Text")
    page.get_by_label("Prompt").fill(prompt)
    page.get_by_role("button", name="Write").click()
    page.locator(".toast-body").get_by_text(told).wait_for(timeout=60_000)
    page.get_by_label("Prompt").fill("The right")
    page.get_by_role("button", name="Write").click()
    page.locator("#text-left .ch").nth(5).wait_for(timeout=60_000)


def test_an_absurd_number_is_refused_and_the_page_goes_on(visit):
    page = visit("Memory span")
    page.get_by_role("button", name="More").locator("visible=true").click()
    seed = page.get_by_label("Seed").locator("visible=true")
    for value, told in (("-7", "seed -7: expected"), ("1e40", "expected in 0 … 2⁶³ − 1")):
        seed.fill(value)
        page.get_by_role("button", name="Train").click()
        page.locator(".toast-body").get_by_text(told).last.wait_for(timeout=60_000)
    seed.fill("0")
    length = page.get_by_label("Length T (digits)").first
    length.fill("1000000000")
    page.get_by_role("button", name="Train").click()
    page.wait_for_function(f"() => /Step [1-9]/.test({WORDS})", timeout=60_000)
    page.get_by_role("button", name="Stop").click()
    assert length.input_value() == "100"


def test_without_a_report_the_tab_says_how_to_make_one(visit):
    page = visit("Report")
    assert "memspan reproduce" in page.locator("#report-page").inner_text()


def test_a_report_is_shown_with_its_verdicts_and_its_document(visit, app_folder, report):
    page = visit("Report")
    for name in ("report.html", "claims.json"):
        shutil.copy(report / name, app_folder)
    try:
        page.get_by_role("button", name="Read again").click()
        cells = page.locator(".claims tr").filter(has_text="c05").locator("td")
        cells.first.wait_for()
        assert cells.all_inner_texts()[:5] == ["c05", "✓ holds", "1", "0.57 … 1", "5"]
        assert "never goes above 30%" in cells.last.inner_text()
        claims = json.loads((report / "claims.json").read_text(encoding="utf-8"))
        assert page.locator(".claims tbody tr").count() == len(claims)
        document = page.frame_locator("iframe.report")
        assert "recurrent network remember" in document.locator("h1").inner_text()
    finally:
        for name in ("report.html", "claims.json"):
            (app_folder / name).unlink()


def test_every_control_has_a_name_and_the_page_fits_a_phone(visit):
    page = visit(width=390, height=800)
    for name in TABS:
        page.get_by_role("tab", name=name).click()
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= 390, f"{name} is {width} pixels wide"
        assert page.evaluate(NAMELESS) == []
        assert page.evaluate(SMALL) == []


def test_the_benchmark_measures_what_a_visitor_waits_for(browser, python, tmp_path):
    pytest.importorskip("gradio", reason="the app needs gradio: pip install 'memspan[app]'")
    words = ["bench", "app", "--quick", "--busy", "--json", "--out", str(tmp_path)]
    said = python(f"import sys; from memspan.cli import main; sys.exit(main({words}))")
    found = json.loads((tmp_path / "app.json").read_text(encoding="utf-8"))
    assert json.loads(said) == found
    assert [len(row["every"]) for row in found["rows"]] == [1, 2, 2, 1]
    assert all(value > 0 for row in found["rows"] for value in row["every"])
    assert "What a visitor of the app waits for" in (tmp_path / "app.md").read_text(encoding="utf-8")
