"""Pages that a script writes are what it would write now."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("script", ["api", "pages"])
def test_a_written_page_is_up_to_date(script):
    asked = subprocess.run([sys.executable, ROOT / "scripts" / script, "--check"], check=False)
    assert asked.returncode == 0, f"run scripts/{script}"
