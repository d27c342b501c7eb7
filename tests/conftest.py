"""What every test shares: a kernel cache of the session's own, so that none depends on an earlier session."""

import os
import shutil
import subprocess
import sys
import tempfile

import pytest

CACHE = "MEMSPAN_CACHE_DIR"


def pytest_configure(config):
    """Keep compiled kernels in one new folder for the session, worker processes and subprocesses included."""
    if CACHE not in os.environ:
        os.environ[CACHE] = tempfile.mkdtemp(prefix="memspan-kernels-")
        config.add_cleanup(lambda: shutil.rmtree(os.environ.pop(CACHE), ignore_errors=True))


@pytest.fixture(scope="session")
def kernel_cache():
    """Where this session keeps its compiled kernels."""
    return os.environ[CACHE]


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
