"""Corpora: a text by name or path, encoded once, in the smallest array that holds it."""

from __future__ import annotations

import hashlib
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import numpy as np

from memspan.errors import ArgumentError, UnknownNameError, shown
from memspan.text.vocabulary import Unit, Vocabulary
from memspan.untrusted import file_size, read_file

NAMES = ("bill_of_rights", "stdlib")
LARGEST = 2 << 30
"""Bytes of a corpus: encoded, it takes the memory two to four times over."""
MOST_FILES = 100_000
"""Files in a folder."""
PIECE = 1 << 20
"""Bytes that are decoded at a time: a text of 100 MB is never whole in memory as a string."""


class Source(NamedTuple):
    """One file of a corpus."""

    name: str
    content: bytes


@dataclass(frozen=True, eq=False)
class Corpus:
    """A text as numbers.

    Shapes:
        data: (N,) of ``vocabulary.dtype``, read-only.

    Args:
        name: what it was asked for by.
        vocabulary: what the numbers stand for.
        data: the whole text.
        sha256: the first 16 hexadecimal digits of the hash of its bytes.
    """

    name: str
    vocabulary: Vocabulary
    data: np.ndarray
    sha256: str

    def __len__(self) -> int:
        return len(self.data)

    @property
    def text(self) -> str:
        """The whole text as a string."""
        return self.vocabulary.decode(self.data)


def load_corpus(name: str, unit: Unit = "char") -> Corpus:
    """Read and encode a corpus.

    Args:
        name: ``"bill_of_rights"``, the report's; ``"stdlib"``, the modules of Python's standard library that
            are one file each, in the order of their names; or the path of a UTF-8 file, or of a folder, whose
            files are read in the order of their paths, those with a leading dot left out.
        unit: ``"char"`` or ``"byte"``. Nothing is changed in the text: line ends, NULs and a missing last
            line end stay as they are.

    Raises:
        ArgumentError: no such file, one that cannot be read, a FIFO or a device, more than ``LARGEST`` bytes,
            or bytes that are no UTF-8, with their offset.

    Example:
        >>> corpus = load_corpus("bill_of_rights")
        >>> len(corpus), len(corpus.vocabulary), corpus.data.dtype, corpus.text[:16]
        (2883, 57, dtype('uint8'), 'The United State')
    """
    return encoded_corpus(name, unit, read_sources(name))


def encoded_corpus(name: str, unit: Unit, sources: Sequence[Source]) -> Corpus:
    """Return the corpus that these files make; see ``load_corpus``."""
    if unit == "char":
        vocabulary = Vocabulary.of(piece for source in sources for piece in _pieces(source))
    else:
        vocabulary = Vocabulary(unit)
    data = _encoded(sources, vocabulary)
    data.flags.writeable = False
    return Corpus(name, vocabulary, data, content_hash(sources))


def content_hash(sources: Sequence[Source]) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of all files one after the other."""
    digest = hashlib.sha256()
    for source in sources:
        digest.update(source.content)
    return digest.hexdigest()[:16]


def read_sources(name: str) -> list[Source]:
    """Return the files a corpus is made of, as bytes; see ``load_corpus``."""
    if name == "bill_of_rights":
        file = resources.files("memspan.text") / "corpora" / "bill_of_rights.txt"
        return [Source(name, file.read_bytes())]
    path = Path(sysconfig.get_path("stdlib")) if name == "stdlib" else Path(name)
    try:
        if name == "stdlib":
            known = {f"{module}.py" for module in sys.stdlib_module_names}
            files = sorted(file for file in path.glob("*.py") if file.name in known)
        elif path.is_dir():
            files = _files(path)
        else:
            _check_size(name, file_size(path))
            return [Source(name, read_file(path, LARGEST))]
        _check_size(name, sum(map(file_size, files)))
        return [Source(file.relative_to(path).as_posix(), read_file(file, LARGEST)) for file in files]
    except FileNotFoundError:
        raise _missing(name) from None
    except OSError as error:
        raise ArgumentError(f"corpus {shown(name)} cannot be read: {error.strerror or error}") from None


def _files(folder: Path) -> list[Path]:
    def hidden(file: Path) -> bool:
        return any(part.startswith(".") for part in file.relative_to(folder).parts)

    files: list[Path] = []
    for file in folder.rglob("*"):
        if file.is_file() and not hidden(file):
            files.append(file)
        if len(files) > MOST_FILES:
            raise ArgumentError(
                f"corpus {str(folder)!r}: the folder holds more than {MOST_FILES:,} files; name a smaller one"
            )
    if not files:
        raise ArgumentError(f"corpus {str(folder)!r}: the folder holds no files; name one with text in it")
    return sorted(files, key=lambda file: file.relative_to(folder).as_posix())


def _check_size(name: str, size: int) -> None:
    if size > LARGEST:
        raise ArgumentError(
            f"corpus {name!r} has {size:,} bytes; expected at most {LARGEST:,}, because all of it is kept in"
            " memory: take a part of it"
        )


def _missing(name: str) -> ArgumentError:
    if Path(name).name == name and not Path(name).suffix:
        return UnknownNameError("corpus", name, NAMES)
    return ArgumentError(
        f"corpus {shown(name)}: no such file or folder; expected a path or {' or '.join(NAMES)}"
    )


def _pieces(source: Source) -> Iterator[str]:
    """Yield a file's text, about ``PIECE`` bytes at a time, cut between characters."""
    content, start = source.content, 0
    while start < len(content):
        end = min(start + PIECE, len(content))
        while end < len(content) and end > start + PIECE - 4 and content[end] & 0xC0 == 0x80:
            end -= 1
        try:
            yield content[start:end].decode()
        except UnicodeDecodeError as error:
            at = start + error.start
            raise ArgumentError(
                f"{source.name!r} is no UTF-8: byte {at} (0x{content[at]:02x}) begins no character;"
                " save it as UTF-8, or read bytes instead (--unit byte)"
            ) from None
        start = end


def _encoded(sources: Sequence[Source], vocabulary: Vocabulary) -> np.ndarray:
    if vocabulary.unit == "byte":
        return np.frombuffer(b"".join(source.content for source in sources), np.uint8).copy()
    parts = [vocabulary.encode(piece) for source in sources for piece in _pieces(source)]
    return np.concatenate([np.empty(0, vocabulary.dtype), *parts])
