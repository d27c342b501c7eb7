"""Measures against worked examples, and against the slow way of saying the same."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memspan.errors import ArgumentError
from memspan.text import measures
from memspan.text.overlap import MOST, Overlap, suffix_array

FEW = st.text("ab\n", max_size=40)
KNOWN = frozenset({"the", "people", "right", "of"})


def test_words_that_touch_an_end_are_left_out():
    assert measures.words("the right") == []
    assert measures.words(" the right.") == ["the", "right"]
    assert measures.words("ple; don't2x é ") == ["don", "t", "x", "é"]


def test_dictionary_share():
    assert measures.dictionary_share([" the Right of ", " teh "], KNOWN) == 0.75
    assert math.isnan(measures.dictionary_share(["theright"], KNOWN))


def test_newlines():
    assert measures.newlines_per_100(["a\nb", "\n"]) == 50
    assert math.isnan(measures.newlines_per_100([""]))
    inside = measures.newlines_inside_words
    assert inside([" peo\nple "], KNOWN) == 1
    assert inside([" the\npeople ", " of\n\nthe "], KNOWN) == 0
    assert inside([" peo\nple"], KNOWN) == 0, "the second piece may go on: not judged"
    assert math.isnan(inside(["the"], KNOWN))


def test_bits_and_positions():
    assert measures.bits_per_character(np.full(7, -math.log(2))) == pytest.approx(1)
    assert math.isnan(measures.bits_per_character(np.empty(0)))
    assert measures.accuracy_by_position(np.array([[True, False], [True, True]])).tolist() == [0.5, 1]


@given(st.lists(FEW, max_size=4), st.integers(1, 4))
@settings(max_examples=100, deadline=None)
def test_distinct_is_a_share_that_never_grows_when_a_sample_is_repeated(samples, n):
    share = measures.distinct(samples, n)
    if any(len(sample) >= n for sample in samples):
        assert 0 < share <= 1
        assert measures.distinct(samples * 2, n) == pytest.approx(share / 2)
    else:
        assert math.isnan(share)


@given(FEW, st.integers(1, 4))
@settings(max_examples=100, deadline=None)
def test_repetition_counts_ngrams_seen_before(sample, n):
    grams = [sample[i : i + n] for i in range(len(sample) - n + 1)]
    seen_before = sum(gram in grams[:i] for i, gram in enumerate(grams))
    told = measures.repetition(sample, n)
    assert math.isnan(told) if not grams else told == pytest.approx(seen_before / len(grams))


@given(st.text("ab", max_size=14), st.integers(2, 4))
@settings(max_examples=200, deadline=None)
def test_a_loop_is_a_block_several_times_in_a_row(tokens, times):
    blocks = (tokens[i : i + p] for p in range(1, len(tokens) + 1) for i in range(len(tokens) - p + 1))
    assert measures.has_loop(tokens, times) == any(block * times in tokens for block in blocks)


@given(st.lists(st.sampled_from("abc"), max_size=6))
def test_identical_share_counts_pairs(texts):
    pairs = [(i, j) for i in range(len(texts)) for j in range(i)]
    told = measures.identical_share(texts)
    same = sum(texts[i] == texts[j] for i, j in pairs)
    assert math.isnan(told) if not pairs else told == pytest.approx(same / len(pairs))


@given(st.text("ab", max_size=60), st.text("abc", max_size=20), st.integers(1, 12))
@settings(max_examples=200, deadline=None)
def test_overlap_equals_looking_everywhere(corpus, text, longest):
    def length(i):
        return next(n for n in range(min(longest, len(text) - i), -1, -1) if text[i : i + n] in corpus)

    overlap = Overlap(corpus, longest)
    assert overlap.lengths(text).tolist() == [length(i) for i in range(len(text))]
    assert overlap.longest_match(text) in corpus


def test_no_match_is_lost_between_two_blocks(monkeypatch):
    monkeypatch.setattr("memspan.text.overlap.BLOCK", 10)
    corpus = "".join(chr(97 + i % 26) + chr(65 + i // 26) for i in range(100))
    overlap = Overlap(corpus, 7)
    assert set(overlap.lengths(corpus)[:-6]) == {7}


def test_novelty_is_what_the_corpus_does_not_have():
    overlap = Overlap("we the people")
    assert overlap.novelty("the people", 4) == 0
    assert overlap.novelty("WE THE", 2) == pytest.approx(1.0)
    assert math.isnan(overlap.novelty("we", 3))
    with pytest.raises(ArgumentError, match="longest match"):
        overlap.novelty("we", 0)
    with pytest.raises(ArgumentError, match=str(MOST)):
        Overlap("a", 0)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=50))
@settings(max_examples=100, deadline=None)
def test_suffixes_in_order(text):
    assert suffix_array(text, len(text)).tolist() == sorted(range(len(text)), key=lambda i: text[i:])
