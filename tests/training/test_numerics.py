"""Pieces shared by threads: each under the arithmetic of a training, whatever the number of threads."""

import pytest
import torch

from memspan.training.numerics import each, reproducible


def denormal(_):
    return float(torch.tensor([1e-39]) * 1), torch.get_num_threads()


@pytest.mark.parametrize("n", [1, 2, 5])
def test_pieces_come_back_in_order_under_flushed_denormals(n):
    before = denormal(0)[0]
    with reproducible():
        assert each(lambda k: (k, *denormal(k)), 7, n) == [(k, 0.0, 1) for k in range(7)]
        assert each(denormal, 0, n) == []
    assert denormal(0)[0] == before


def test_an_error_of_any_piece_is_raised():
    def work(k):
        if k == 3:
            raise ValueError("piece 3")

    with pytest.raises(ValueError, match="piece 3"):
        each(work, 4, 2)
