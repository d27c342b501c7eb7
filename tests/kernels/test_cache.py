"""The kernel cache on disk: its key, two processes at once, a folder that cannot be written."""

import subprocess
import sys

import pytest

from memspan import simd
from memspan.kernels.cpu import cache

STEP = (
    "import torch; from memspan.kernels import unroll; from memspan.cells.rnn.equations import RNN; "
    "c = RNN(1, 4, biases=0); p = {'weight_ih': torch.ones(1, 4, 1), 'weight_hh': torch.zeros(1, 4, 4)}; "
    "print(float(unroll(c, p, torch.ones(1, 2, 1, 1), kernel='cpu').outputs.sum()))"
)


def test_the_key_knows_every_source_and_the_vector_length(tmp_path):
    files = []
    for path in cache.source_files():
        copy = tmp_path / f"{len(files)}-{path.name}"
        copy.write_bytes(path.read_bytes())
        files.append(copy)
    names = {"/".join(path.parts[-2:]) for path in cache.source_files()}
    assert {"simd/functions.py", "sparse/lanes.py", "cpu/sequence.py", "cpu/generate.py"} <= names
    assert sum(f.name == "cpu.py" for f in cache.source_files()) >= 3
    before = cache.cache_key(16, files)
    assert before == cache.cache_key(16, files)
    assert before != cache.cache_key(8, files)
    for path in files:
        text = path.read_bytes()
        path.write_bytes(text + b"\n# edited\n")
        assert cache.cache_key(16, files) != before
        path.write_bytes(text)


def test_the_key_knows_the_host(monkeypatch):
    before = cache.cache_key(16)
    monkeypatch.setattr(simd, "host_features", lambda: frozenset({"sse2"}))
    assert cache.cache_key(16) != before


def run_step(before=""):
    """Start a process that makes one step with a kernel."""
    command = [sys.executable, "-c", before + STEP]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_two_processes_may_compile_at_once_and_a_third_needs_not(tmp_path, monkeypatch):
    monkeypatch.setenv("MEMSPAN_CACHE_DIR", str(tmp_path))
    helpless = "import sys; sys.executable += '-that-is-not-there'; "  # nobody compiles ahead
    started = [run_step(), run_step(helpless)]
    results = [process.communicate(timeout=300) for process in started]
    assert [process.returncode for process in started] == [0, 0], results
    assert results[0][0] == results[1][0]
    assert not list(tmp_path.rglob("*.tmp"))
    compiled = {path.stem for path in tmp_path.rglob("*.compiled")}
    workers = {"memspan_team"}  # where torch has several threads
    assert compiled - workers == {"memspan_kernel_rnn_tanh", "memspan_kernel_rnn_tanh_backward"}
    third = run_step("import subprocess; subprocess.Popen = None; ")  # nothing is left to compile ahead
    assert third.communicate(timeout=300)[0] == results[0][0]


def test_a_folder_that_cannot_be_written_falls_back_and_says_so(tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("MEMSPAN_CACHE_DIR", str(blocked))
    cache.cache_folder.cache_clear()
    with pytest.warns(UserWarning, match="MEMSPAN_CACHE_DIR"):
        folder = cache.cache_folder()
    assert folder.is_dir()
    assert cache.cache_folder() == folder
    cache.cache_folder.cache_clear()


def test_importing_the_package_compiles_nothing(python):
    python(
        "import sys, memspan, memspan.kernels; "
        "assert not [m for m in sys.modules if m.split('.')[0] in ('numba', 'llvmlite')]"
    )
