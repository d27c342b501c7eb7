"""Functions that are only linked into kernels: the same numbers, no machine code of their own."""

import numba as nb
import pytest

from memspan.linked import linked


@nb.njit
def plain(x):
    return x + 1.0


@linked
def inner(x):
    return 2.0 * plain(x)


@linked
def outer(x, times):
    total = 0.0
    for _ in range(times):
        total += inner(x)
    return total


@linked
def unused(x):
    return inner(x)


@nb.njit
def entry(x, times):
    return outer(x, times) + inner(x) if times else max(inner(x), 0.0)


@pytest.mark.parametrize(("times", "want"), [(3, 32.0), (0, 8.0)])
def test_code_that_calls_linked_functions_gets_their_numbers(times, want):
    assert entry(3.0, times) == want


def test_a_linked_function_has_no_machine_code_of_its_own():
    entry(3.0, 1)
    for function, there in ((inner, False), (outer, False), (plain, True)):
        (made,) = function.overloads.values()
        engine = made.library.codegen._engine
        assert engine.is_symbol_defined(made.fndesc.mangled_name) == there


def test_a_linked_function_that_nobody_calls_costs_nothing():
    assert not unused.overloads
