"""How the page says no."""

from __future__ import annotations

from html import escape

import gradio as gr

SHORT = 10.0
"""Seconds for which an error of a program's call is shown."""


def refused(error: Exception, duration: float | None = None) -> gr.Error:
    """Return an error for the page. Gradio draws it as HTML, and it repeats what was typed or stored."""
    return gr.Error(escape(str(error), quote=False), duration=duration, print_exception=False)
