"""The public page: sealed names, loaded on first use."""

import memspan


def test_every_name_is_there_and_no_other():
    assert sorted(memspan.__all__) == dir(memspan)
    for name in memspan.__all__:
        assert getattr(memspan, name) is not None


def test_the_page_names_what_it_offers():
    for name in set(memspan.__all__) - {"__version__"}:
        assert name in memspan.__doc__


def test_import_is_light_and_layers_load_no_kernel(python):
    python("import sys, memspan; assert 'torch' not in sys.modules; memspan.LSTM")
    python("import sys, memspan; memspan.LSTM(3, 5); assert not {'matplotlib', 'rich'} & set(sys.modules)")
