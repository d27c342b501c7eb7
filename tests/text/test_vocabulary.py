"""A vocabulary is a value that numbers characters; damage and strangers are named."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memspan.errors import ArgumentError, UnknownNameError
from memspan.text import UnknownCharacterError, Vocabulary

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


@given(TEXTS)
@settings(max_examples=100, deadline=None)
def test_any_text_comes_back(text):
    vocabulary = Vocabulary.of([text])
    numbers = vocabulary.encode(text)
    assert vocabulary.decode(numbers) == text
    assert numbers.dtype == vocabulary.dtype
    assert vocabulary.symbols == "".join(sorted(set(text)))
    assert Vocabulary.from_json(json.loads(json.dumps(vocabulary.to_json()))) == vocabulary


@given(st.binary())
@settings(max_examples=50, deadline=None)
def test_any_bytes_are_their_own_numbers(content):
    vocabulary = Vocabulary("byte")
    assert len(vocabulary) == 256
    assert vocabulary.encode(content).tolist() == list(content)
    assert vocabulary.decode(vocabulary.encode(content)) == content.decode(errors="replace")


@pytest.mark.parametrize(
    ("characters", "dtype"), [(1, "uint8"), (256, "uint8"), (257, "uint16"), (70000, "uint32")]
)
def test_the_smallest_type_that_holds_every_number(characters, dtype):
    symbols = "".join(chr(c if c < 0xD800 else c + 0x800) for c in range(characters))
    vocabulary = Vocabulary("char", symbols)
    assert vocabulary.dtype == np.dtype(dtype)
    assert vocabulary.encode(symbols[-1]).tolist() == [characters - 1]


def test_a_stranger_is_named_with_its_place_or_skipped():
    vocabulary = Vocabulary.of(["The right"])
    with pytest.raises(UnknownCharacterError, match=r"'é' \(U\+00E9, character 1 .*--unknown skip"):
        vocabulary.encode("héire")
    assert vocabulary.decode(vocabulary.encode("T😀he é", unknown="skip")) == "The "
    with pytest.raises(UnknownCharacterError):
        Vocabulary("char").encode("a")


def test_numbers_outside_the_vocabulary_are_refused():
    with pytest.raises(ArgumentError, match="0 … 2"):
        Vocabulary("char", "abc").decode([0, 3])


@pytest.mark.parametrize(
    "values",
    [
        {"unit": "char"},
        {"unit": "char", "symbols": ["a"]},
        {"unit": "char", "symbols": "ba"},
        {"unit": "char", "symbols": "aa"},
        {"unit": "byte", "symbols": "a"},
        {"unit": "char", "symbols": "a", "size": 1},
    ],
)
def test_a_damaged_vocabulary_is_refused(values):
    with pytest.raises(ArgumentError, match="vocabulary"):
        Vocabulary.from_json(values)


def test_an_unknown_unit_is_named():
    with pytest.raises(UnknownNameError, match="'bytes'; did you mean 'byte'"):
        Vocabulary("bytes")
