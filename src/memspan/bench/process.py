"""A function in a process of its own, as what is measured may need."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from memspan.errors import MemspanError

_CODE = """
import importlib, json, sys
module, name = sys.argv[1].split(":")
print(json.dumps(getattr(importlib.import_module(module), name)(*json.loads(sys.argv[2]))))
"""


def alone(function: str, *arguments: Any, **environment: str) -> Any:
    """Run a function in a fresh interpreter and return what it returned.

    Args:
        function: ``"module:name"``; arguments and result travel as JSON.
        environment: variables of that process.

    Raises:
        MemspanError: it failed; the message is its last line.
    """
    done = subprocess.run(
        [sys.executable, "-c", _CODE, function, json.dumps(arguments)],
        capture_output=True, text=True, env={**os.environ, **environment}, check=False,
    )  # fmt: skip
    if done.returncode:
        raise MemspanError(f"{function} failed in its own process: {done.stderr.strip().splitlines()[-1]}")
    return json.loads(done.stdout.strip().splitlines()[-1])
