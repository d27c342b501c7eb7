"""What every test shares: a kernel cache of the session's own, so that no test depends on an earlier one."""

import os
import subprocess
import sys

import pytest


@pytest.fixture(scope="session", autouse=True)
def kernel_cache(tmp_path_factory):
    """Keep compiled kernels in one folder for the whole session, subprocesses included."""
    if "MEMSPAN_CACHE_DIR" not in os.environ:
        os.environ["MEMSPAN_CACHE_DIR"] = str(tmp_path_factory.mktemp("kernels"))
    return os.environ["MEMSPAN_CACHE_DIR"]


@pytest.fixture
def python():
    """Run a line of Python in a fresh interpreter, fail with its output if it fails."""

    def run(code: str, **environment: str) -> str:
        result = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            env={**os.environ, **environment},
            timeout=300,
            check=False,
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    return run
