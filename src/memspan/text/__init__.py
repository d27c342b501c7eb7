"""Texts: corpora, vocabularies, the task of going on with a text, and measures of what was written."""

from memspan.text.corpus import Corpus, load_corpus
from memspan.text.task import Text
from memspan.text.vocabulary import UnknownCharacterError, Vocabulary

__all__ = ["Corpus", "Text", "UnknownCharacterError", "Vocabulary", "load_corpus"]
