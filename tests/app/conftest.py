"""A running app and a browser that notes what no visitor may meet: errors, requests to elsewhere."""

import os
import subprocess
import sys
import threading
from urllib.parse import urlparse

import pytest

from memspan.bench.app import CHROMIUM, FLAGS

SERVER = """
import socket, sys
connect = socket.socket.connect
def watched(self, address):
    if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "::1", "localhost"):
        print("LEAVES", address, file=sys.stderr, flush=True)
        raise OSError("nothing leaves the machine")
    return connect(self, address)
socket.socket.connect = watched
from memspan.cli import main
sys.exit(main(["app", "--port", "0", "--out", sys.argv[1]]))
"""


class Server:
    """``memspan app`` in a process of its own, and every line it has said."""

    def __init__(self, out):
        self.said = []
        command = [sys.executable, "-W", "ignore", "-c", SERVER, str(out)]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        self.ready = threading.Event()
        self.listener = threading.Thread(target=self._listen, daemon=True)
        self.listener.start()
        assert self.ready.wait(60), self.said
        self.address = self.said[-1].split()[0]

    def _listen(self):
        for line in self.process.stderr:
            self.said.append(line)
            if "Ctrl-C" in line:
                self.ready.set()

    def end(self):
        self.process.terminate()
        self.process.wait(20)
        self.listener.join(20)
        self.process.stderr.close()
        return "".join(self.said)


@pytest.fixture(scope="session")
def app_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("app")


@pytest.fixture
def report(tmp_path, monkeypatch):
    """A folder with the report of a made-up study; its figures, which take long, are left out."""
    for needed in ("matplotlib", "jinja2", "typst"):
        pytest.importorskip(needed, reason="the report needs memspan[lab]")
    from made_up import made_up_study

    from memspan.ledger import Measurement
    from memspan.probes import PROBES, Probe
    from memspan.report import build
    from memspan.study import preset

    monkeypatch.setattr(build, "FIGURES", {})
    folder = tmp_path / "report"
    folder.mkdir()
    few = {name: PROBES.resolve(name)(20, 0) for name in PROBES if name != "slope"}  # which trains
    answers = [Measurement(Probe(name).flat(), values, {}) for name, values in few.items()]
    build.write_report(made_up_study("full", seeds=5), folder, preset("full"), answers)
    return folder


@pytest.fixture(scope="session")
def server(kernel_cache, app_folder):
    pytest.importorskip("gradio", reason="the app needs gradio: pip install 'memspan[app]'")
    running = Server(app_folder)
    yield running
    said = running.end()
    assert "LEAVES" not in said, said
    assert "Traceback" not in said, said


@pytest.fixture(scope="session")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="browser tests need playwright")
    if not os.path.exists(CHROMIUM):
        pytest.skip(f"browser tests need {CHROMIUM} (Debian package chromium)")
    with playwright.sync_playwright() as p:
        chromium = p.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def visit(server, browser, tmp_path):
    """Open the app as a visitor; at the end, fail on console errors and requests to other machines."""
    contexts, troubles = [], []

    def open_page(tab=None, width=1200, height=1000, dark=False):
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light"
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda m: troubles.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("request", lambda r: _leaving(r.url, troubles))
        page.goto(server.address)
        page.locator("svg.chart").first.wait_for()
        if tab:
            page.get_by_role("tab", name=tab).click()
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not troubles, troubles


def _leaving(url, troubles):
    where = urlparse(url)
    if where.scheme in ("http", "https", "ws", "wss") and where.hostname != "127.0.0.1":
        troubles.append(f"request to {url}")
