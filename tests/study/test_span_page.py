"""docs/span.md is true: its snippet runs, and its table of tasks is the tasks' own."""

import os
import re
import subprocess
import sys
from pathlib import Path

from memspan.tasks import TASKS

PAGE = (Path(__file__).parents[2] / "docs" / "span.md").read_text(encoding="utf-8")


def test_the_snippet_runs(tmp_path):
    [snippet] = re.findall(r"```python\n(.*?)```", PAGE, flags=re.S)
    script = tmp_path / "ask.py"
    script.write_text(snippet, encoding="utf-8")
    result = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, text=True, env=os.environ, timeout=300
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("Interval(value=0.0")
    assert (tmp_path / "out" / "ledger.sqlite").exists()


def test_the_table_names_every_task_that_has_an_axis():
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)`.*? \| (\d+) … (\d+) \|", PAGE, flags=re.M)
    told = {name: (axis, (int(low), int(high))) for name, axis, low, high in rows}
    tasks = {name: TASKS.resolve(name) for name in TASKS}
    assert told == {name: (task.axis, task.span_range) for name, task in tasks.items() if task.axis}
