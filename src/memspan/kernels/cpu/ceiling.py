"""The ceiling of the kernel's arithmetic: its own register tile on operands that stay in the cache."""

from __future__ import annotations

import time

import numba as nb
import numpy as np

from memspan.kernels.cpu import threads
from memspan.kernels.cpu.tiles import product_tile
from memspan.simd import LANES, VECTOR_BYTES

M, N, K = 128, 512, 128
_ROWS = 8 if LANES == 16 else 4
_tile = product_tile(_ROWS, 2, False)


@nb.njit(nogil=True)
def _product(a: int, w: int, c: int, repeats: int) -> None:
    """C (M, N) = A (M, K) · packed panels, several times."""
    la, lc, panel = 4 * (K + 16), 4 * (N + 16), 2 * VECTOR_BYTES
    for _ in range(repeats):
        for p in range(4 * N // panel):
            for r in range(0, M, _ROWS):
                _tile(a + r * la, la, w + p * K * panel, K, c + r * lc + p * panel, lc)


def ceiling(workers: int, seconds: float = 0.2) -> float:
    """Return the GFLOP/s of so many threads on float32 products of 128 × 128 × 512, the best of nine."""
    sets = [
        [np.zeros(size + 16, np.float32) for size in (M * (K + 16), K * N, M * (N + 16))]
        for _ in range(workers)
    ]
    places = [[a.ctypes.data + -a.ctypes.data % 64 for a in one] for one in sets]

    def timed(count: int, repeats: int) -> float:
        """Return the seconds that so many threads take for so many products each."""

        def work(first: int, last: int) -> None:
            for k in range(first, last):
                a, w, c = places[k]
                _product(a, w, c, repeats)

        start = time.perf_counter()
        threads.run(work, threads.share(count, count))
        return time.perf_counter() - start

    timed(1, 1)
    repeats = max(1, int(seconds / 9 / max(timed(1, 1), 1e-6)))
    best = min(timed(workers, repeats) for _ in range(9))
    del sets
    return workers * repeats * 2e-9 * M * N * K / best
