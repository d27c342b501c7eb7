"""Ctrl-C and SIGTERM at any moment: one line, exit code 130 or 143, never a traceback; and a light start."""

import os
import signal
import subprocess
import sys
import time

import pytest

from memspan.cli import parse
from memspan.ledger import Ledger

SWEEP = [
    "sweep",
    "--cell",
    "rnn",
    "--length",
    "5",
    "--hidden",
    "8",
    "--batch",
    "8",
    "--steps",
    "200000",
    "--workers",
    "1",
]
CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals are sent as POSIX sends them")

LIGHT = """
import contextlib, io, sys
from memspan.cli import main
def helped(*words):
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
        main([*words, "--help"])
helped()
for words in {verbs}:
    helped(*words)
main(["--version"])
main(["gate", "--to", "1"])
heavy = {{"torch", "numba", "scipy", "matplotlib", "pyarrow", "gradio", "huggingface_hub"}} & set(sys.modules)
assert not heavy, heavy
"""

SWALLOWING = """
import os, signal, sys, time
from memspan.cli import main, parse
class Doctor:
    def run(self):
        {body}
        return 0
parse.parse = lambda words: Doctor()
sys.argv = ["memspan", "doctor"]
sys.exit(main())
"""
KILL = "os.kill(os.getpid(), signal.SIGINT)"
BODIES = {
    "plain": KILL,
    "turned into another error": f"""
        try:
            {KILL}
        except BaseException:
            raise ImportError("half an import")
        """,
    "in a destructor": f"""
        class Dies:
            def __del__(self):
                {KILL}
                for _ in range(1000): pass
        dies = Dies()
        del dies
        time.sleep(30)
        """,
    "in a callback of C": f"""
        import ctypes
        def back(): {KILL}; time.sleep(0.01)
        ctypes.CFUNCTYPE(None)(back)()
        time.sleep(30)
        """,
    "swallowed": f"""
        from memspan.cli import interrupts
        interrupts.GRACE = 0.3
        try:
            {KILL}
        except BaseException:
            pass
        time.sleep(30)
        """,
    "twice": f"""
        try:
            {KILL}
        finally:
            {KILL}
            time.sleep(30)
        """,
}


def verbs(table=None, before=()):
    for name, verb in (parse.VERBS if table is None else table).items():
        if isinstance(verb, parse.Group):
            yield from verbs(verb.verbs, (*before, name))
        else:
            yield (*before, name)


def test_version_help_and_light_verbs_import_nothing_heavy(python):
    python(LIGHT.format(verbs=list(verbs())))


def test_every_module_main_needs_before_it_takes_ctrl_c_over_is_light(python):
    python("import sys, memspan.cli; assert not {'numpy', 'tyro', 'rich', 'difflib'} & set(sys.modules)")


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_an_interrupt_that_cannot_travel_on_ends_the_command_all_the_same(body):
    result = subprocess.run(
        [sys.executable, "-c", SWALLOWING.format(body=body)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (result.returncode, result.stderr.splitlines()) == (130, ["memspan: stopped"])


def test_a_signal_that_whoever_starts_us_ignores_stays_ignored():
    code = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n" + SWALLOWING.format(body=KILL)
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0


def interrupted(folder, number, delay):
    """Start a sweep, send it a signal after so many seconds; return exit code and lines of stderr."""
    command = [sys.executable, "-m", "memspan", *SWEEP]
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    time.sleep(delay)
    process.send_signal(number)
    _, said = process.communicate(timeout=120)
    return process.returncode, said.splitlines()


def resumable(folder):
    """Whether what a command left behind is a ledger that opens and holds nobody's run."""
    if not (folder / "out/ledger.sqlite").exists():
        return True
    with Ledger.open(folder / "out/ledger.sqlite") as ledger:
        return {status for status, _ in ledger.standings().values()} <= {"planned", "running"}


# Python itself takes about 0.03 s until the first line of ours runs; what comes before is not ours to catch.
@pytest.mark.parametrize(
    ("number", "delay"), [(signal.SIGINT, 0.5), (signal.SIGINT, 2.0), (signal.SIGTERM, 2.5)]
)
def test_a_signal_while_a_sweep_starts(number, delay, tmp_path):
    code, said = interrupted(tmp_path, number, delay)
    assert (code, len(said)) == (CODES[number], 1), said
    assert resumable(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("number", CODES)
def test_a_signal_at_any_moment_of_the_first_seconds(number, tmp_path):
    for k in range(24):
        folder = tmp_path / str(k)
        folder.mkdir()
        code, said = interrupted(folder, number, 0.3 + 0.15 * k)
        assert (code, len(said)) == (CODES[number], 1), (k, said)
        assert resumable(folder)


@pytest.mark.parametrize("words", [["--help"], ["train", "--help"], ["gate", "--to", "1"]])
@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_output_goes_into_a_pipe_of_any_encoding(words, encoding):
    result = subprocess.run(
        [sys.executable, "-m", "memspan", *words], env=os.environ | {"PYTHONIOENCODING": encoding},
        capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert (result.returncode, result.stderr) == (0, b"")
    assert result.stdout
