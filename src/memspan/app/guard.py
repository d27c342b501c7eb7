"""Who may talk to the page: this machine alone, in small messages; and who still listens to it."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LARGEST = 256 * 1024
"""Bytes of a request's body; the largest the page sends is a prompt."""
PATIENCE = 15.0
"""Seconds without a listener after which nobody is taken to listen any more."""
_LOOPBACK = re.compile(r"(?:127\.0\.0\.1|localhost|\[::1\])(?::\d{1,5})?", re.IGNORECASE)
_STREAM = re.compile(r"/call/(?:v2/)?[^/]+/(?P<event>[^/]+)/?$")


class Listeners:
    """Which sessions have an open stream of results, and when each had its last one."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._open: Counter[str] = Counter()
        self._seen: dict[str, float] = {}
        self._lock = threading.Lock()
        self._clock = clock

    def enter(self, session: str) -> None:
        """Note that a stream is open."""
        with self._lock:
            self._open[session] += 1

    def leave(self, session: str) -> None:
        """Note that a stream has closed."""
        with self._lock:
            self._open[session] -= 1
            if self._open[session] <= 0:
                del self._open[session]
            self._seen[session] = self._clock()

    def heard(self, session: str) -> bool:
        """Return whether somebody listens, or did not long ago; the first question counts as listening."""
        with self._lock:
            if session in self._open:
                return True
            return self._clock() - self._seen.setdefault(session, self._clock()) < PATIENCE

    def forget(self, session: str) -> None:
        """Drop what is known of a session whose work has ended."""
        with self._lock:
            self._seen.pop(session, None)


class Guard:
    """ASGI middleware that refuses foreign hosts and origins, files and large bodies, and notes listeners.

    A page of the internet may make a visitor's browser call 127.0.0.1: by a name of its own that it lets
    point here (then ``Host`` is that name), or across origins (then ``Origin`` is the page's).

    Args:
        app: what is guarded.
        listeners: is told of streams.
        session_of: event id → the session it belongs to.
    """

    def __init__(self, app: ASGIApp, listeners: Listeners, session_of: Callable[[str], str]) -> None:
        self.app = app
        self.listeners = listeners
        self.session_of = session_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request with a sentence, or pass it on."""
        if scope["type"] == "websocket":  # the page has none; without a handshake it is closed
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        refusal = _refusal(scope)
        if refusal is None:
            body = await _body(receive)
            if body is None:
                refusal = PlainTextResponse(f"expected at most {LARGEST:,} bytes", 413)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        session = self._session(scope)
        if session is None:
            await self.app(scope, _again(body, receive), send)
            return
        self.listeners.enter(session)
        try:
            await self.app(scope, _again(body, receive), send)
        finally:
            self.listeners.leave(session)

    def _session(self, scope: Scope) -> str | None:
        """Return the session whose results a request streams, None for other requests."""
        if scope["method"] != "GET":
            return None
        if scope["path"].endswith("/queue/data"):
            named = parse_qs(scope["query_string"].decode("latin-1")).get("session_hash")
            return named[0] if named else None
        found = _STREAM.search(scope["path"])
        return self.session_of(found["event"]) if found else None


def _refusal(scope: Scope) -> PlainTextResponse | None:
    headers = Headers(scope=scope)
    hosts = headers.getlist("host")
    if len(hosts) != 1 or not _LOOPBACK.fullmatch(hosts[0]):
        return PlainTextResponse("this page answers to 127.0.0.1 and localhost only", 421)
    # Ports of the host are free, so that a forwarded one works; an origin must be the very same.
    allowed = {f"{scheme}://{hosts[0].lower()}" for scheme in ("http", "https")}
    if any(origin.lower() not in allowed for origin in headers.getlist("origin")):
        return PlainTextResponse("this page takes no requests from other pages", 403)
    if scope["path"].rstrip("/").endswith("/upload"):
        return PlainTextResponse("this page takes no files", 403)
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit()) or len(length) > 12 or int(length) > LARGEST:
        return PlainTextResponse(f"expected at most {LARGEST:,} bytes", 413)
    return None


async def _body(receive: Receive) -> bytes | None:
    """Return a request's body; None if it is larger than allowed, whatever its headers say."""
    parts = b""
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            break
        parts += message.get("body", b"")
        if len(parts) > LARGEST:
            return None
        more = message.get("more_body", False)
    return parts


def _again(body: bytes | None, receive: Receive) -> Receive:
    """Return what gives the body once more, then whatever follows it."""
    left: list[Message] = [{"type": "http.request", "body": body or b"", "more_body": False}]

    async def first() -> Message:
        return left.pop() if left else await receive()

    return first
