"""A corpus is a file or a folder of files; what is neither, or too large, is refused and not waited for."""

import subprocess
import sys

import pytest

from hostile_cases import harmless, in_place_of
from memspan.errors import ArgumentError
from memspan.text import Text, corpus, load_corpus
from memspan.text.corpus import read_sources

WORDS = {
    "FIFO": "FIFO",
    "device": "device",
    "socket": "socket",
    "loop": "cannot be read",
    "10 GB": "take a part",
}


@pytest.mark.parametrize("kind", WORDS)
def test_a_corpus_that_is_no_file_is_refused(tmp_path, monkeypatch, kind):
    in_place_of(tmp_path / "canary.txt", kind)
    for read in (load_corpus, read_sources, lambda name: Text(corpus=name)):
        with harmless(tmp_path, monkeypatch), pytest.raises(ArgumentError, match=WORDS[kind]):
            read(str(tmp_path / "canary.txt"))


@pytest.mark.parametrize("name", ["a\0b", "x" * 100_000, "\ud800", "nothing/here"])
def test_what_is_no_path_is_refused(name):
    with pytest.raises(ArgumentError) as caught:
        load_corpus(name)
    assert len(str(caught.value)) < 300


def test_a_folder_is_bounded_in_files_and_bytes(tmp_path, monkeypatch):
    for k in range(4):
        (tmp_path / f"{k}.txt").write_text("text")
    in_place_of(tmp_path / "pipe", "FIFO")
    assert len(read_sources(str(tmp_path))) == 4
    monkeypatch.setattr(corpus, "LARGEST", 15)
    with pytest.raises(ArgumentError, match="has 16 bytes; expected at most 15"):
        read_sources(str(tmp_path))
    monkeypatch.setattr(corpus, "MOST_FILES", 3)
    with pytest.raises(ArgumentError, match="more than 3 files"):
        read_sources(str(tmp_path))


@pytest.mark.parametrize(
    "fields", [{"unit": "word"}, {"unit": ["char"]}, {"reading": "backwards"}, {"window": 1.5}, {"corpus": 5}]
)
def test_a_task_of_text_checks_its_fields(fields):
    with pytest.raises(ArgumentError):
        Text(**fields)


def test_a_command_refuses_a_fifo(tmp_path):
    in_place_of(tmp_path / "pipe", "FIFO")
    done = subprocess.run(
        [sys.executable, "-m", "memspan", "text", "train", "--corpus", "pipe", "--out", "out"],
        capture_output=True, text=True, cwd=tmp_path, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.strip().endswith("pipe: neither a file nor a folder (a FIFO, socket or device)")
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()
