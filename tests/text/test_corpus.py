"""Any file is read as it is, or refused with the place of the damage."""

import subprocess
import sys

import numpy as np
import pytest

from memspan.errors import ArgumentError, UnknownNameError
from memspan.text import load_corpus
from memspan.text.corpus import PIECE


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"a",
        b"no newline at the end",
        b"\x00a\x00",
        b"one\r\ntwo\r\n",
        "ß∂😀\n".encode(),
        b"\xef\xbb\xbfmark",
    ],
)
def test_a_file_is_kept_as_it_is(tmp_path, content):
    file = tmp_path / "file.txt"
    file.write_bytes(content)
    assert load_corpus(str(file)).text.encode() == content
    assert load_corpus(str(file), "byte").data.tobytes() == content


@pytest.mark.parametrize(
    ("content", "offset"),
    [
        (b"ab\xff", 2),
        (b"\x80", 0),
        (b"a" * (PIECE + 5) + b"\xc3", PIECE + 5),
        ("é".encode() * PIECE + b"\x80\x80\x80\x80", 2 * PIECE),
    ],
)
def test_bytes_that_are_no_utf8_are_named_with_their_offset(tmp_path, content, offset):
    file = tmp_path / "file.txt"
    file.write_bytes(content)
    with pytest.raises(ArgumentError, match=rf"file.txt.*byte {offset} .*--unit byte"):
        load_corpus(str(file))
    assert len(load_corpus(str(file), "byte")) == len(content)


def test_characters_on_the_border_of_two_pieces_stay_whole(tmp_path):
    text = "x" + "€" * PIECE
    (tmp_path / "file").write_text(text, encoding="utf-8")
    assert load_corpus(str(tmp_path / "file")).text == text


def test_a_folder_is_its_files_in_the_order_of_their_paths(tmp_path):
    for name, content in {"b.txt": "two", "a/z.txt": "one", ".hidden": "no", "a/.git/x": "no"}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    assert load_corpus(str(tmp_path)).text == "onetwo"
    (tmp_path / "c.bin").write_bytes(b"ok\xfe")
    with pytest.raises(ArgumentError, match=r"c.bin.*byte 2"):
        load_corpus(str(tmp_path))


def test_what_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(UnknownNameError, match="did you mean 'bill_of_rights'"):
        load_corpus("bill_of_right")
    with pytest.raises(ArgumentError, match="no such file or folder"):
        load_corpus(str(tmp_path / "none.txt"))
    with pytest.raises(ArgumentError, match="no files"):
        load_corpus(str(tmp_path))


def test_the_shipped_corpus_is_the_reports():
    corpus = load_corpus("bill_of_rights")
    assert (len(corpus), len(corpus.vocabulary), corpus.sha256) == (2883, 57, "e441ee0649c1c17f")
    assert not corpus.data.flags.writeable


def test_the_standard_library_is_there_and_always_the_same():
    once, again = load_corpus("stdlib"), load_corpus("stdlib")
    assert len(once) > 1_000_000
    assert once.sha256 == again.sha256
    assert np.array_equal(once.data, again.data)
    assert "import" in once.text


@pytest.mark.slow
def test_100_megabytes_in_less_than_a_gibibyte(tmp_path):
    line = "Wörter, words & λέξεις, 0123456789 – das ist eine Zeile von gemischtem Text.\n".encode()
    (tmp_path / "big.txt").write_bytes(line * (100_000_000 // len(line) + 1))
    code = (
        "from pathlib import Path\n"
        "from memspan.text import load_corpus\n"
        "corpus = load_corpus('big.txt')\n"
        "status = Path('/proc/self/status').read_text()\n"  # getrusage would count the parent's memory
        "print(len(corpus), corpus.data.dtype, status.split('VmHWM:')[1].split()[0])"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=300
    ).stdout.split()
    assert int(told[0]) > 80_000_000
    assert told[1] == "uint8"
    assert int(told[2]) < 2**20, f"peak {int(told[2]) / 2**10:.0f} MiB"
