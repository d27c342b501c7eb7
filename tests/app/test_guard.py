"""Who may talk to the page: hosts, origins and sizes; and that nobody trains for nobody."""

import asyncio

import pytest

pytest.importorskip("gradio", reason="the app needs gradio: pip install 'memspan[app]'")

from starlette.responses import PlainTextResponse

from memspan.app import guard
from memspan.app.guard import LARGEST, PATIENCE, Guard, Listeners


async def served(scope, receive, send):
    """Answer with the size of the body, so that a test sees that the whole of it came through."""
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    await PlainTextResponse(str(size))(scope, receive, send)


def ask(headers=(), method="GET", path="/", query=b"", parts=(b"",), listeners=None, app=served):
    """Send one request through the guard, its body in parts; return status and text."""
    sent = []
    waiting = [
        {"type": "http.request", "body": p, "more_body": k + 1 < len(parts)} for k, p in enumerate(parts)
    ]

    async def receive():
        return waiting.pop(0) if waiting else {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    raw = [(name.encode(), value.encode()) for name, value in headers]
    scope = {"type": "http", "method": method, "path": path, "query_string": query, "headers": raw}
    asyncio.run(
        Guard(app, listeners or Listeners(), lambda event: f"session of {event}")(scope, receive, send)
    )
    return sent[0]["status"], b"".join(m.get("body", b"") for m in sent[1:]).decode()


def host(name):
    return [("host", name)]


@pytest.mark.parametrize("name", ["127.0.0.1:7860", "localhost", "LOCALHOST:9000", "[::1]:7860"])
def test_this_machine_is_served_by_its_own_names(name):
    assert ask(host(name)) == (200, "0")
    assert ask([*host(name), ("origin", f"http://{name}")]) == (200, "0")


@pytest.mark.parametrize(
    "name",
    ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:7860", "evil.example#localhost",
     "", "0.0.0.0:7860", "192.168.0.2:7860", "user@localhost", "localhost:7860/x", "localhost.",
     "127.0.0.1:999999"],
)  # fmt: skip
def test_a_name_that_only_points_here_is_refused(name):
    assert ask(host(name))[0] == 421


@pytest.mark.parametrize("headers", [[], [*host("localhost"), *host("evil.example")]])
def test_no_host_or_two_are_refused(headers):
    assert ask(headers)[0] == 421


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "http://localhost:9999", "https://localhost.evil.example:7860", "file://",
     "http://127.0.0.1:7860", "chrome-extension://abc", ""],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_requests_of_other_pages_are_refused(method, origin):
    assert ask([*host("localhost:7860"), ("origin", origin)], method)[0] == 403


def test_bodies_are_bounded_by_what_comes_not_by_what_is_said():
    there = host("localhost")
    assert ask(there, "POST", parts=[b"x" * (LARGEST // 2)] * 2) == (200, str(2 * (LARGEST // 2)))
    assert ask(there, "POST", parts=[b"x" * (LARGEST // 2 + 1)] * 2)[0] == 413
    for said in (str(LARGEST + 1), "9" * 5000, "-1", "²"):
        assert ask([*there, ("content-length", said)], "POST")[0] == 413


@pytest.mark.parametrize("path", ["/gradio_api/upload", "/upload", "/gradio_api/upload/"])
def test_files_are_not_taken(path):
    assert ask(host("localhost"), "POST", path)[0] == 403


def test_a_websocket_is_closed():
    sent = []

    async def send(message):
        sent.append(message)

    asyncio.run(Guard(served, Listeners(), str)({"type": "websocket"}, None, send))
    assert sent == [{"type": "websocket.close", "code": 1008}]


@pytest.mark.parametrize(
    ("path", "query", "session"),
    [
        ("/gradio_api/queue/data", b"session_hash=abc", "abc"),
        ("/gradio_api/call/train/e1", b"", "session of e1"),
        ("/gradio_api/call/v2/train/e1", b"", "session of e1"),
    ],
)
def test_a_stream_is_heard_while_it_is_open_and_a_while_after(path, query, session):
    now = [0.0]
    listeners, during = Listeners(lambda: now[0]), []

    async def streaming(scope, receive, send):
        now[0] += 10 * PATIENCE
        during.append((listeners.heard(session), listeners.heard("other")))
        await served(scope, receive, send)

    assert listeners.heard(session)
    ask(host("localhost"), path=path, query=query, listeners=listeners, app=streaming)
    assert during == [(True, True)]
    assert listeners.heard(session)
    now[0] += PATIENCE + 1
    assert not listeners.heard(session)
    assert not listeners.heard("other")
    listeners.forget(session)
    assert listeners.heard(session)


def test_a_training_nobody_listens_to_ends_and_frees_its_place(tmp_path, monkeypatch):
    from memspan.app import train

    asked = []

    def heard(session):
        asked.append(session)
        return len(asked) < 3

    monkeypatch.setattr(train, "REDRAW", 0.0)
    run = train.run_of("rnn", 5, "xavier_normal", "zero", "rmsprop", 1e-3, 8, 5000, 0)
    words, _ = list(train.watch(run, "me", tmp_path, heard))[-1]
    assert "stopped" in words
    assert "Step 5,000" not in words
    assert train.trainings() == 0
    assert set(asked) == {"me"}


def test_patience_is_longer_than_a_page_needs_to_open_its_stream():
    assert 5 <= guard.PATIENCE <= 60
