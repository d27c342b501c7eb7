"""The choice of a symbol: random numbers by counter, and every filter against a reference in numpy."""

import numba as nb
import numpy as np
import pytest
import torch

from memspan.kernels.cpu.rows import Choosing, Rows
from memspan.kernels.cpu.sampling import random_word, uniform

ROWS = 20_000


@nb.njit
def words(seed, positions):
    return [random_word(seed, position) for position in positions]


@nb.njit
def uniforms(seed, count):
    return [uniform(seed, k) for k in range(count)]


def philox(counter, key):
    """Philox4x32-10 in whole numbers."""
    c, k = list(counter), list(key)
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(p1 >> 32) ^ c[1] ^ k[0], p1 & 0xFFFFFFFF, (p0 >> 32) ^ c[3] ^ k[1], p0 & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


def test_random_words_are_those_of_philox():
    known = [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]  # published with the generator, for zeros
    assert philox([0] * 4, [0] * 2) == known
    ones = [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]  # and for ones
    assert philox([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2) == ones
    seed, positions = 2**40 + 7, np.array([0, 1, 2**33 + 5])
    want = [
        philox([int(p) & 0xFFFFFFFF, int(p) >> 32, 0, 0], [seed & 0xFFFFFFFF, seed >> 32])[0]
        for p in positions
    ]
    assert words(seed, positions) == want
    assert words(0, np.array([0])) == known[:1]


def test_uniform_numbers_are_uniform():
    drawn = np.array(uniforms(3, 100_000))
    assert ((drawn >= 0) & (drawn < 1)).all()
    counts = np.histogram(drawn, 50, (0, 1))[0]
    assert ((counts - 2000) ** 2 / 2000).sum() < 90  # 49 degrees of freedom: 99.97%


def reference(energies, scale, top_k=0, top_p=1.0, min_p=0.0):
    """The distribution after temperature, top-k, top-p and min-p, by sorting."""
    p = np.exp(scale * (energies - energies.max()))
    order = np.argsort(-p, kind="stable")
    kept = np.zeros(len(p), bool)
    kept[order[: top_k or len(p)]] = True
    mass = np.where(kept, p, 0)
    mass /= mass.sum()
    before = np.concatenate([[0], np.cumsum(mass[order])[:-1]])
    kept[order[before >= top_p]] = False
    p = np.where(kept & (p >= min_p * p.max()), p, 0)
    return p / p.sum()


CASES = [
    {}, {"scale": 0.4}, {"scale": 3.0}, {"top_k": 1}, {"top_k": 4}, {"top_k": 100},
    {"top_p": 0.5}, {"top_p": 0.93},
    {"top_p": 1e-6}, {"min_p": 0.1}, {"min_p": 1.0}, {"top_k": 6, "top_p": 0.7},
    {"top_k": 8, "top_p": 0.9, "min_p": 0.2},
]  # fmt: skip


@pytest.mark.parametrize("K", [1, 9, 64, 70])
@pytest.mark.parametrize("settings", CASES, ids=str)
def test_symbols_are_drawn_as_often_as_they_should_be(settings, K):
    energies = np.random.default_rng(K).normal(0, 2, K).astype(np.float32)
    choosing = Choosing(**settings, log_probabilities=True, distributions=True)
    rows = Rows(np.zeros(ROWS, np.int64), np.arange(ROWS) + 17, K, choosing)
    made = rows.choose(torch.from_numpy(energies).expand(ROWS, K))
    want = reference(energies.astype(np.float64), **{"scale": 1.0, **settings})
    counts = np.bincount(made.symbols[0], minlength=K)
    assert counts[want == 0].sum() == 0
    often = want * ROWS >= 5
    expected = want[often] * ROWS
    chi2 = ((counts[often] - expected) ** 2 / expected).sum()
    free = max(1, often.sum() - 1)
    assert chi2 < free + 4.5 * np.sqrt(2 * free) + 5
    own = np.exp(energies - energies.max()) / np.exp(energies - energies.max()).sum()
    assert np.exp(made.log_probabilities[0]) == pytest.approx(own[made.symbols[0]], rel=1e-5)
    assert made.distributions[0, 0] == pytest.approx(own, rel=1e-5)


@pytest.mark.parametrize("scale", [1.0, 0.0])
@pytest.mark.parametrize("energies", [[0, np.inf, 1], [0, np.nan, 1], [-np.inf] * 3], ids=str)
def test_energies_without_a_distribution_are_noticed(energies, scale):
    rows = Rows(np.zeros(2, np.int64), np.arange(2), 3, Choosing(scale=scale))
    rows.choose(torch.tensor([[0.0, 1.0, 2.0], energies]))
    assert rows.broken


def test_a_forbidden_symbol_is_not_drawn_by_the_smallest_random_number():
    seed = 12_121_362  # found by trying
    assert uniforms(seed, 1) == [0]
    rows = Rows(np.zeros(1, np.int64), np.array([seed]), 3, Choosing(distributions=True))
    made = rows.choose(torch.tensor([[-np.inf, 0.0, -np.inf]]))
    assert made.symbols.tolist() == [[1]]
    assert made.distributions.tolist() == [[[0.0, 1.0, 0.0]]]
    assert not rows.broken


@pytest.mark.parametrize("settings", [{"top_k": 3}, {"top_p": 0.5}, {"min_p": 1.0}], ids=str)
def test_equal_energies_are_kept_together(settings):
    rows = Rows(np.zeros(ROWS, np.int64), np.arange(ROWS), 5, Choosing(**settings))
    made = rows.choose(torch.tensor([1.0, 1, 1, 1, -9]).expand(ROWS, 5))
    assert set(made.symbols[0]) == {0, 1, 2, 3}


def test_a_draw_belongs_to_seed_and_position():
    energies = torch.zeros(50, 30)
    one = Rows(np.zeros(50, np.int64), np.arange(50), 30, Choosing())
    first, second = (one.choose(energies).symbols[0] for _ in range(2))
    again = Rows(np.zeros(50, np.int64), np.arange(50)[::-1], 30, Choosing())
    assert (again.choose(energies).symbols[0] == first[::-1]).all()
    assert (first != second).any()
