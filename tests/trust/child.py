"""A process that runs examples: reads numbers, writes outcomes, one JSON object a line."""

from __future__ import annotations

import faulthandler
import json
import os
import sys
import time

from trust.judge import judge
from trust.strata import stratum


def main() -> None:
    """Serve until the input ends."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever libraries print goes to the log
    faulthandler.enable()
    print(json.dumps({"ready": os.getpid()}), file=answers)
    for line in sys.stdin:
        number, began = int(line), time.process_time()
        if os.environ.get("TRUST_DIE") == str(number):  # so that a test sees what then happens
            os.abort()
        kind, text, error = judge(number, stratum(number))
        spent = time.process_time() - began
        print(json.dumps({"kind": kind, "text": text, "error": error, "spent": spent}), file=answers)


if __name__ == "__main__":
    main()
