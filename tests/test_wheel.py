"""A wheel, installed into an empty environment away from the checkout, works."""

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def call(*words, cwd):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    result = subprocess.run(
        list(map(str, words)),
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("wheel")
    call(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, ROOT, cwd=out)
    return next(out.glob("*.whl"))


def works(python, folder):
    written = call(python, "-m", "memspan", "text", "complete", "The right of the people", cwd=folder)
    assert written.startswith("The right of the people to ")
    assert "lstm, float32" in call(python, "-m", "memspan", "doctor", cwd=folder)
    words = "train palindrome --length 5 --steps 20 --seeds 0-1"
    assert call(python, "-m", "memspan", *words.split(), cwd=folder).count("finished") == 2


def test_with_this_environments_dependencies(wheel, tmp_path):
    """Reduced: the dependencies are borrowed, memspan itself comes from the wheel alone."""
    venv.create(tmp_path / "env", with_pip=False)
    python = tmp_path / "env/bin/python"
    site = Path(
        call(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=tmp_path).strip()
    )
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib"))  # its own .pth files are not followed
    call(
        sys.executable, "-m", "pip", "install", "--no-deps", "--quiet", "--target", site, wheel, cwd=tmp_path
    )
    assert str(site) in call(python, "-c", "import memspan; print(memspan.__file__)", cwd=tmp_path)
    works(python, tmp_path)


@pytest.mark.slow
def test_with_dependencies_installed_by_pip(wheel, tmp_path):
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env/bin/python"
    call(
        python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "-c",
        ROOT / "constraints.txt",
        "torch",
        wheel,
        cwd=tmp_path,
    )
    works(python, tmp_path)
