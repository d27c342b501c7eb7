"""Processes that run examples and may die or hang; each is then a finding, and the process is replaced."""

from __future__ import annotations

import json
import os
import queue
import selectors
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

LIMIT = 600.0
"""Seconds after which an example counts as hanging; compiling kernels takes minutes on a busy machine."""
START = 600.0
REMEMBERED = 5


class Result(NamedTuple):
    """The outcome of one example: ``kind`` as in ``judge``, or ``died`` or ``hung``."""

    number: int
    kind: str
    text: str
    error: float = 0.0
    spent: float = 0.0


class Child:
    """A process that runs one example after another."""

    def __init__(self, environment: dict[str, str] | None = None) -> None:
        self.log = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the child)
        paths = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
        variables = {
            **os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "MALLOC_PERTURB_": "165",
            **(environment or {}),
        }  # fmt: skip
        self.process = subprocess.Popen(
            [sys.executable, "-m", "trust.child"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=self.log, env=variables,
        )  # fmt: skip
        self.before: list[int] = []
        self._read(START)

    def _read(self, limit: float) -> dict | None:
        """Return the next line, None where the process died; raise TimeoutError where it is silent."""
        assert self.process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            if not selector.select(limit):
                raise TimeoutError
        line = self.process.stdout.readline()
        return json.loads(line) if line.endswith(b"\n") else None

    def run(self, number: int, limit: float = LIMIT) -> Result:
        """Run an example; afterwards ``alive`` says whether the process serves on."""
        assert self.process.stdin is not None
        history = f"; before it: {self.before[-REMEMBERED:]}"
        try:
            self.process.stdin.write(f"{number}\n".encode())
            self.process.stdin.flush()
            answer = self._read(limit)
        except TimeoutError:
            return Result(number, "hung", f"silent for {limit:g} s{history}")
        except BrokenPipeError:
            answer = None
        if answer is None:
            code = self.process.wait()
            return Result(number, "died", f"exit status {code}: {self._tail()}{history}")
        self.before.append(number)
        return Result(number, **answer)

    @property
    def alive(self) -> bool:
        """Whether the process serves on."""
        return self.process.poll() is None

    def _tail(self) -> str:
        self.log.seek(0)
        lines = self.log.read().decode(errors="replace").splitlines()
        own = [line.strip() for line in lines if "File" in line and "memspan" in line][:3]
        fatal = [line for line in lines if line.startswith(("Fatal", "guard"))][-1:]
        return " | ".join(fatal + own) or " | ".join(lines[-2:])

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()
        self.log.close()


def run_all(
    numbers: Iterable[int], processes: int = 2, report: Callable[[Result], None] | None = None
) -> list[Result]:
    """Run examples in some processes at once; return their results in the order of their numbers."""
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    for number in numbers:
        waiting.put(number)
    results: list[Result] = []

    def serve() -> None:
        child = None
        while True:
            try:
                number = waiting.get_nowait()
            except queue.Empty:
                break
            if child is None:
                child = Child()
            result = child.run(number)
            results.append(result)
            if report is not None:
                report(result)
            if result.kind in ("died", "hung"):
                child.close()
                child = None
        if child is not None:
            child.close()

    servers = [threading.Thread(target=serve) for _ in range(processes)]
    for server in servers:
        server.start()
    for server in servers:
        server.join()
    return sorted(results)
