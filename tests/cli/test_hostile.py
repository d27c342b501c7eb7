"""Values that nobody means: each ends in one line and exit code 2, at once, and writes nothing."""

import contextlib
import errno
import os

import pytest

from memspan.cli import main, parse
from memspan.cli.bounds import MOST_RUNS, check_path, seeds_of, value_of, values_of
from memspan.errors import ArgumentError, MemspanError

NINES = "9" * 5000
LONG = "a" * 300
DEEP = "a/" * 3000


@pytest.fixture
def refused(capsys, tmp_path, monkeypatch):
    """Run a command in an empty folder; return its one line."""
    monkeypatch.chdir(tmp_path)

    def call(*words):
        assert main(words) == 2, capsys.readouterr()
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.startswith("memspan: ")
        assert len(said.err.strip().splitlines()) == 1
        assert len(said.err) < 700
        assert not list(tmp_path.iterdir())
        return said.err

    return call


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("train palindrome --length 5 --seeds ²", "expected numbers and ranges"),
        ("train palindrome --length 5 --seeds 0-9999999999", "at most 100,000 seeds"),
        ("train palindrome --length 5 --seeds 0-99999999999 --dry-run", "at most 100,000 seeds"),
        (f"train palindrome --length 5 --seeds {NINES}", "2⁶³"),
        (f"train palindrome --length 5 --seeds 0-{NINES}", "2⁶³"),
        ("train palindrome --length 5 --seeds 9223372036854775808", "2⁶³"),
        (f"train palindrome --length {NINES}", "--length"),
        ("train palindrome --length 99999999999999999999", "at most 10,000,000"),
        ("train palindrome --length 9999999", "GiB free"),
        ("train palindrome --length 5 --hidden 100000", "GiB free"),
        ("train palindrome --length 5 --hidden 100000 --dry-run", "GiB free"),
        ("train palindrome --length 5 --batch 9999999999", "at most 10,000,000"),
        ("train palindrome --length 5 --steps 999999999999999", "GiB free"),
        ("train palindrome --length 5 --layers 99999999999", "at most 1,000"),
        ("train palindrome --length 5 --clip nan", "clip nan"),
        ("train palindrome --length 5 --workers 99999", "at most 1,024"),
        ("train palindrome --length 5 --threads 99999", "at most 1,024"),
        (f"train palindrome --length 5 --out {LONG}", "too long a name"),
        (f"train palindrome --length 5 --out {DEEP}", "too long a name"),
        (f"train {LONG}:x", "task 'aaa"),
        (f"train {NINES}:x", "5,002 characters"),
        ("train collections:Counter", "no class derived from"),
        ("train os:path", "no class derived from"),
        ("train os:_exit", "no class derived from"),
        ("train palindrome --length 5 --cell os:_exit", "no class derived from"),
        ("train palindrome --length 5 --cell collections:Counter", "no class derived from"),
        ("train palindrome --length 5 --cell \udcff", "unknown cell"),
        ("sweep --length []", "expected int"),
        ("sweep --length null", "expected int"),
        ('sweep --length 5 --cell {"a":1}', "unknown cell"),
        ("sweep --length 1:1e99999999", "2⁶³"),
        ("sweep --length 1e-99999999:5", "2⁶³"),
        (f"sweep --length 1:1e{NINES}", "expected int"),
        ("sweep --length 5:1e7:1", "at most 10,000"),
        ("sweep --length 5:6:1e-15", "at most 10,000"),
        (f"sweep --length {NINES}", "--length"),
        (f"sweep --length {NINES}:{NINES}", "expected int"),
        ("sweep --length 5 --hidden 9223372036854775808", "2⁶³"),
        ("sweep --length 5 --lr 1e400", "--learning-rate 1e400"),
        ("sweep --length 5 --lr NaN", "--learning-rate NaN"),
        ("sweep --length 5 --task os:path", "no class derived from"),
        ("sweep --length 5 --cell lstm,os:_exit", "no class derived from"),
        ("sweep --length 2:9000 --hidden 8:9000 --seeds 0-9", "at most 100,000"),
        ("sweep --length 5 --layers 99999999999", "at most 1,000"),
        ("sweep /dev/zero", "neither a file nor a folder"),
        ("span os:_exit", "no class derived from"),
        ("span rnn --task collections:Counter", "no class derived from"),
        ("span rnn --layers 99999999999", "at most 1,000"),
        ("span rnn --seeds 0-9999999999", "at most 100,000"),
        (f"runs status --out {LONG}", "too long a name"),
        (f"runs export {LONG}.csv", "too long a name"),
        (f"runs import {DEEP}", "too long a name"),
        ("runs import /dev/zero", "neither a file nor a folder"),
        (f"probe gates {NINES}", "too long a name"),
        ("probe gates /dev/zero", "neither a file nor a folder"),
        ("probe gates x --steps 999999999999", "expected at least 1, at most"),
        ("probe gates x --cell os:_exit", "no class derived from"),
        ("export os:_exit --weights w", "no class derived from"),
        ("export lstm --weights /dev/zero", "neither a file nor a folder"),
        (f"export lstm --weights {LONG}", "too long a name"),
        ("text sample --number 999999999", "at most 10,000"),
        ("text sample --length 999999999999", "at most 10,000,000"),
        ("text evaluate --corpus /dev/zero", "neither a file nor a folder"),
        ("text train --corpus /dev/zero", "neither a file nor a folder"),
        ("text train --corpus=/dev/zero", "neither a file nor a folder"),
        ("text train --hidden 100000", "GiB free"),
        ("text train --threads 0", "at least 1"),
        (f"gate --plot {LONG}.svg", "too long a name"),
        ("gate --step 1e-300", "expected at most"),
        ("gate --from -1e308 --to 1e308", "expected at most"),
        (f"gate --period {NINES}", "period"),
        ("app --port 99999999999999999999", "--port"),
        ("bench layers --length 99999999999", "at most 10,000,000"),
        ("\x1b[31mtrain", "unknown command"),
    ],
)
def test_one_line_at_once(refused, line, said):
    told = refused(*line.split(" "))
    assert said in told
    assert "\x1b" not in told


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs")
@pytest.mark.parametrize(
    "line",
    ["export lstm --weights F", "probe gates F", "runs import F", "text evaluate --corpus F", "sweep F"],
)
def test_a_fifo_is_not_waited_for(line, tmp_path, capsys):
    os.mkfifo(tmp_path / "fifo")
    assert main(line.replace("F", str(tmp_path / "fifo")).split()) == 2
    assert "neither a file nor a folder" in capsys.readouterr().err


VALUES = ("", "²", NINES, "1e400", "-inf", '{"a":1}', LONG, "\udcff", "a\nb")


def verbs(table=None, before=()):
    for name, verb in (parse.VERBS if table is None else table).items():
        if isinstance(verb, parse.Group):
            yield from verbs(verb.verbs, (*before, name))
        else:
            yield (*before, name), verb


def every_flag():
    for words, verb in verbs():
        flags = [flag for flag in dict.fromkeys(parse._flags(verb)) if not flag.startswith("--no-")]
        yield from ((words, flag) for flag in flags)


def read(words, flag, value):
    """Read one flag: the verb is returned or a mistake raised in words, never anything else."""
    with contextlib.suppress(MemspanError):
        parse.parse([*words, flag, value])


def test_flags_of_every_verb_read_hostile_values():
    """Every tenth flag here; the long version reads each value by each flag."""
    for k, (words, flag) in enumerate(every_flag()):
        if k % 10 == 0:
            read(words, flag, VALUES[k // 10 % len(VALUES)])


@pytest.mark.slow
@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
def test_every_flag_of_every_verb_reads_every_hostile_value(value):
    for words, flag in every_flag():
        read(words, flag, value)


@pytest.mark.parametrize(
    ("returns", "said"),
    [
        ("None", "returned None"),
        ("3", "returned 3"),
        ("'lstm'", "returned 'lstm'"),
        ("{'a': 1}", "expected a list"),
        ("[3]", "returned 3; expected RunConfig"),
        ("iter(int, 1)", "expected at most"),
    ],
)
def test_a_study_file_that_lists_no_runs_is_refused(returns, said, tmp_path, capsys):
    study = tmp_path / "study.py"
    study.write_text(f"def runs():\n    return {returns}\n")
    assert main(["sweep", str(study), "--dry-run"]) == 2
    assert said in capsys.readouterr().err


def test_seeds_up_to_their_limits_are_read():
    assert seeds_of("0-4,3,9223372036854775807") == [0, 1, 2, 3, 4, 2**63 - 1]
    assert len(seeds_of(f"1-{MOST_RUNS}")) == MOST_RUNS


@pytest.mark.parametrize("text", ["007", "+5", "1_000", "０", "[1]", '"x"', "null", "None"])
def test_what_only_looks_like_a_number_stays_a_word(text):
    assert value_of("--x", text) == text


def test_numbers_keep_their_type():
    assert [type(value_of("--x", text)) for text in ("1", "1.0", "1e3", "true")] == [int, float, float, bool]
    assert values_of("--x", "9223372036854775806:9223372036854775807") == [2**63 - 2, 2**63 - 1]


def test_a_path_just_short_enough_is_taken(tmp_path):
    check_path("--x", tmp_path / ("ä" * 127))
    with pytest.raises(ArgumentError, match="too long"):
        check_path("--x", tmp_path / ("ä" * 128))


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "x.csv"), 1, "x.csv: No space left"),
        (OSError(errno.EROFS, "Read-only file system", "x.csv"), 2, "name another file"),
        (OSError(errno.EACCES, "Permission denied", b"x\xff.csv"), 2, "name another file"),
        (OSError("odd"), 1, "odd"),
        (OSError(), 1, "OSError"),
        (MemoryError(), 1, "not enough memory"),
    ],
)
def test_what_the_system_refuses_is_a_line(error, code, said, monkeypatch, capsys):
    def run(self):
        raise error

    monkeypatch.setattr(parse.Doctor, "run", run)
    assert main(["doctor"]) == code
    told = capsys.readouterr().err
    assert said in told
    assert len(told.splitlines()) == 1


@pytest.mark.parametrize("name", ["x.csv", "x.parquet"])
@pytest.mark.parametrize("number", [errno.EROFS, errno.ENAMETOOLONG])
def test_an_export_that_cannot_be_written_says_so(name, number, tmp_path, monkeypatch, capsys):
    """On a read-only disk removing the unfinished file fails, too."""
    from pathlib import Path

    from memspan.ledger import Ledger, checkpoints
    from memspan.ledger.parquet import exporting

    if name.endswith("parquet"):
        pytest.importorskip("pyarrow", reason="Parquet needs memspan[lab]")
    Ledger.open(tmp_path / "ledger.sqlite").close()

    def fail(*_, **__):
        raise OSError(number, os.strerror(number), "x.tmp")

    monkeypatch.setattr(exporting, "_write", fail)
    monkeypatch.setattr(checkpoints.os, "fsync", fail)
    monkeypatch.setattr(Path, "unlink", fail)
    assert main(["runs", "export", str(tmp_path / name), "--out", str(tmp_path)]) in (1, 2)
    told = capsys.readouterr().err
    assert os.strerror(number) in told
    assert len(told.splitlines()) == 1
