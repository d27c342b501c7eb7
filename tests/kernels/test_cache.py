"""The kernel cache on disk: its key, two processes at once, and every way in which it may fail."""

import errno
import io
import itertools
import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import damage
import pytest

from memspan import simd
from memspan.kernels import trial
from memspan.kernels.cpu import cache, files, generated

STEP = (
    "import torch; from memspan.kernels import unroll; from memspan.cells.rnn.equations import RNN; "
    "c = RNN(1, 4, biases=0); p = {'weight_ih': torch.ones(1, 4, 1), 'weight_hh': torch.zeros(1, 4, 4)}; "
    "print(float(unroll(c, p, torch.ones(1, 2, 1, 1), kernel='cpu').outputs.sum()))"
)


def test_the_key_knows_every_source_and_the_vector_length(tmp_path):
    copies = []
    for path in cache.source_files():
        copy = tmp_path / f"{len(copies)}-{path.name}"
        copy.write_bytes(path.read_bytes())
        copies.append(copy)
    names = {"/".join(path.parts[-2:]) for path in cache.source_files()}
    assert {"simd/functions.py", "sparse/lanes.py", "cpu/sequence.py", "cpu/generate.py"} <= names
    assert sum(f.name == "cpu.py" for f in cache.source_files()) >= 3
    before = cache.cache_key(16, copies)
    assert before == cache.cache_key(16, copies)
    assert before != cache.cache_key(8, copies)
    for path in copies:
        text = path.read_bytes()
        path.write_bytes(text + b"\n# edited\n")
        assert cache.cache_key(16, copies) != before
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
    compiled = {path.stem for path in tmp_path.rglob("*.code")}
    workers = {"memspan_team"}  # where torch has several threads
    assert compiled - workers == {"memspan_kernel_rnn_tanh", "memspan_kernel_rnn_tanh_backward"}
    third = run_step("import subprocess; subprocess.Popen = None; ")  # nothing is left to compile ahead
    assert third.communicate(timeout=300)[0] == results[0][0]


@pytest.mark.slow
def test_a_spoilt_cache_is_compiled_again(tmp_path, monkeypatch):
    monkeypatch.setenv("MEMSPAN_CACHE_DIR", str(tmp_path))
    want = run_step().communicate(timeout=300)[0]
    spoil(tmp_path, ["first half", "a hostile pickle", "pipe", "empty", "bit in the middle", "folder"])
    assert run_step().communicate(timeout=300)[0] == want


def spoil(folder, kinds):
    """Damage every file in a folder, one kind after the other."""
    every = sorted(path for path in folder.rglob("*") if path.is_file())
    for path, kind in zip(every, itertools.cycle(kinds), strict=False):
        damage.apply(kind, path)


def test_no_damage_to_a_file_is_more_than_a_loss(tmp_path):
    told = run_damage(tmp_path)
    assert f"{3 * len(damage.KINDS)} damaged files" in told
    assert len(damage.KINDS) >= 22


def run_damage(tmp_path):
    """Go through every kind of damage in a process of its own, whose folder other users may enter."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        environment = os.environ | {"MEMSPAN_CACHE_DIR": folder}
        command = [sys.executable, damage.__file__]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A cache folder of a test's own, in a process that has loaded nothing."""
    monkeypatch.setenv("MEMSPAN_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "_LOADED", {})
    cache.cache_folder.cache_clear()
    yield cache.cache_folder()
    cache.cache_folder.cache_clear()
    cache._say_once.cache_clear()


def small():
    """Return the small module, loaded anew."""
    cache._LOADED.clear()
    module = cache.module("memspan_small", lambda: damage.TEXT)
    assert (module.triple(14), module.square(12)) == (42, 144)
    return module


def test_a_folder_that_cannot_be_written_costs_time_and_says_so_once(folder):
    folder.parent.parent.write_text("not a folder")
    with pytest.warns(UserWarning, match="MEMSPAN_CACHE_DIR"):
        assert generated.code_of(small()).changed
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        small()
    assert cache.obstacle() is not None


def test_a_complete_folder_is_used_where_it_cannot_be_written(folder, monkeypatch):
    trial.judged(0.0, small())
    monkeypatch.setattr(files, "write", lambda path, content: OSError("read-only"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        module = small()
    assert not generated.code_of(module).changed
    assert trial.passed(module)


def test_a_full_disk_leaves_nothing_behind(folder, monkeypatch):
    class Full(io.BytesIO):
        def write(self, content):
            raise OSError(errno.ENOSPC, "no space left on device")

    folder.mkdir(parents=True)
    with monkeypatch.context() as disk:
        disk.setattr(Path, "open", lambda *given: Full())
        with pytest.warns(UserWarning, match="no space"):
            small()
    assert not list(folder.iterdir())
    assert generated.code_of(small()).changed
    assert not generated.code_of(small()).changed


@pytest.mark.parametrize(("umask", "mode"), [(0o002, 0o664), (0o022, 0o644), (0o077, 0o600)])
def test_who_may_read_the_folder_may_read_its_files(folder, umask, mode):
    before = os.umask(umask)
    try:
        trial.judged(0.0, small())
    finally:
        os.umask(before)
    assert {path.suffix for path in folder.iterdir()} == {".py", ".code", ".tried"}
    assert {oct(path.stat().st_mode & 0o777) for path in folder.iterdir()} == {oct(mode)}


def test_code_that_was_compiled_anew_is_tried_anew(folder):
    module = small()
    assert not trial.passed(module)
    trial.judged(0.0, module)
    assert trial.passed(module)
    assert trial.passed(small()), "the same code, loaded"
    generated.code_file(Path(module.__file__)).write_bytes(b"")
    again = small()
    # Compilers are not bound to give the same bytes twice, so the note holds where they do and only there.
    same = generated.code_of(again).digest() == generated.code_of(module).digest()
    assert trial.passed(again) == same
    generated.code_of(again).keep("triple", next(iter(again.square.overloads.values())))
    assert not trial.passed(again), "another code of the same source"


def test_a_module_that_continues_another_follows_its_source(folder):
    def load(factor):
        cache._LOADED.clear()
        base = f"from memspan.linked import linked\n@linked\ndef scaled(n): return {factor} * n\n"
        top = (
            "import numba as nb\nfrom memspan.linked import entry\nfrom memspan_base import scaled\n"
            "@entry(nb.int64(nb.int64))\ndef twice(n): return 2 * scaled(n)\n"
        )
        cache.module("memspan_base", lambda: base)
        return cache.module("memspan_top", lambda: top)

    assert load(3).twice(1) == 6
    assert load(5).twice(1) == 10


def test_nothing_is_compiled_beside_the_package_or_left_in_a_temporary_folder(tmp_path, python):
    """No home, no cache folder, nothing that may be written but the temporary folder."""
    code = (
        "import warnings; warnings.simplefilter('ignore'); import os, numpy as np, numba as nb; "
        "from pathlib import Path; from memspan.kernels.cpu import cache, team, threads; "
        "assert not hasattr(team.do_phases, 'address'), 'compiled by an import'; "
        "from numba.core.caching import CacheImpl; CacheImpl._locator_classes = []; "
        "kernel = nb.njit('void(i8[::1], intp, intp)', nogil=True)(lambda jobs, first, last: None); "
        "threads.Program([(threads.Walk(kernel, np.zeros(2, np.int64)), [(0, 1), (1, 2)])])(); "
        "cache.compile_ahead('memspan_small', lambda: TEXT); "
        "assert cache.module('memspan_small', lambda: TEXT).triple(5) == 15"
    )
    nowhere = {"MEMSPAN_CACHE_DIR": "", "HOME": "/dev/null", "XDG_CACHE_HOME": ""}
    python(f"TEXT = {damage.TEXT!r}; {code}", **nowhere, TMPDIR=str(tmp_path))
    assert not list(tmp_path.iterdir())


def test_importing_the_package_compiles_nothing(python):
    python(
        "import sys, memspan, memspan.kernels; "
        "assert not [m for m in sys.modules if m.split('.')[0] in ('numba', 'llvmlite')]"
    )
