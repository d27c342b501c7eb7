"""The page: its tabs, its look, and the server that shows it to this machine only."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import gradio as gr
from starlette.middleware import Middleware

from memspan.app import gate, inside, models, reading, text, train
from memspan.app.guard import Guard
from memspan.errors import OutputError

HOST = "127.0.0.1"
STYLE = Path(__file__).with_name("style.css")
FONTS, MONOSPACED = ("system-ui", "sans-serif"), ("ui-monospace", "monospace")
WAITING = 16
"""Requests that may wait; more are told to come back."""


def build(out: str | os.PathLike[str] = "out") -> gr.Blocks:
    """Return the page as Gradio Blocks, not yet served.

    Args:
        out: folder whose ledger, models and report are shown; it may be missing.
    """
    folder = Path(out)
    with gr.Blocks(title="memspan", analytics_enabled=False) as page:
        gr.Markdown("# How long does a network remember?")
        with gr.Tab("Temporal gate"):
            gate.tab()
        with gr.Tab("Memory span"):
            train.tab(page, folder)
        with gr.Tab("Inside the network"):
            inside.tab(folder)
        with gr.Tab("Text"):
            text.tab(folder)
        with gr.Tab("Report"):
            reading.tab(folder)
    return page


def serve(
    port: int = 7860,
    *,
    out: str | os.PathLike[str] = "out",
    open_browser: bool = False,
    wait: bool = True,
    listen: Callable[[str], None] = lambda address: None,
) -> gr.Blocks:
    """Serve the page on 127.0.0.1 until Ctrl-C, which is raised again once it has closed.

    Args:
        port: 0 takes any free one.
        out: see ``build``.
        open_browser: show it at once.
        wait: false returns at once; the caller closes the page.
        listen: told the address once it answers.

    Returns:
        The page; ``page.close()`` ends it.

    Raises:
        OutputError: the port is taken.
    """
    port = port or _free_port()
    page = build(out)
    page.queue(max_size=WAITING, default_concurrency_limit=4)
    look = gr.themes.Base(primary_hue="blue", neutral_hue="slate", font=FONTS, font_mono=MONOSPACED)
    try:
        app, address, _ = page.launch(
            server_name=HOST, server_port=port, inbrowser=open_browser, share=False, quiet=True,
            ssr_mode=False, show_error=True, prevent_thread_lock=True, theme=look, css_paths=STYLE,
            footer_links=[], app_kwargs={"middleware": [_guarded(page)]},
        )  # fmt: skip
    except OSError:
        raise OutputError(
            f"--port {port}: another program has it; choose another one, or 0 for any"
        ) from None
    reading.mount(app, Path(out))
    listen(address)
    threading.Thread(target=models.warm, daemon=True).start()
    if wait:
        try:
            while True:
                time.sleep(1.0)
        finally:
            page.close(verbose=False)
    return page


def _guarded(page: gr.Blocks) -> Middleware:
    """Return what stands before every request."""

    def session_of(event: str) -> str:
        found = page._queue.event_ids_to_events.get(event)
        return event if found is None else found.session_hash

    return Middleware(Guard, listeners=train.LISTENERS, session_of=session_of)


def _free_port() -> int:
    """Return a port nobody listens on at this moment."""
    with socket.create_server((HOST, 0)) as server:
        return int(server.getsockname()[1])
