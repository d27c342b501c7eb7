"""Every example in a docstring runs."""

import doctest
import importlib
import pkgutil

import pytest

import memspan

MODULES = sorted(
    m.name for m in pkgutil.walk_packages(memspan.__path__, "memspan.") if m.name != "memspan.__main__"
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name):
    failures, _ = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert failures == 0
