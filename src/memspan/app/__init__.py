"""The local web app: play with gates, memory and text. Nothing leaves the machine."""

from memspan.app.page import build, serve

__all__ = ["build", "serve"]
