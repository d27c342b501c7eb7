"""``memspan app``: the local web app."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path

from memspan.errors import ArgumentError


@dataclass(frozen=True)
class App:
    """Open a page on this machine to play with gates, memory and text; Ctrl-C ends it."""

    port: int = 7860
    """Port on 127.0.0.1; 0 takes any free one."""
    open: bool = False
    """Open the page in a browser."""
    out: Path = Path("out")
    """Folder whose ledger, models and report the page shows."""

    def run(self) -> int:
        """Serve until Ctrl-C."""
        if not 0 <= self.port <= 65535:
            raise ArgumentError(f"--port {self.port}: expected 0 … 65535")
        if importlib.util.find_spec("gradio") is None:
            raise ArgumentError("the app needs gradio; run: pip install 'memspan[app]'")
        from memspan.app import serve

        def say(address: str) -> None:
            print(f"{address}  (Ctrl-C ends it)", file=sys.stderr, flush=True)

        serve(self.port, out=self.out, open_browser=self.open, listen=say)
        return 0
