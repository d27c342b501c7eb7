"""docs/api.md is what the docstrings say."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_page_is_up_to_date():
    asked = subprocess.run([sys.executable, ROOT / "scripts" / "api", "--check"], check=False)
    assert asked.returncode == 0, "docstrings have changed; run scripts/api"
