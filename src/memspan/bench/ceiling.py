"""The ceiling: the fastest 128×128×512 float32 product of this machine, all threads busy."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch

from memspan.kernels.cpu.ceiling import K, M, N
from memspan.kernels.cpu.ceiling import ceiling as own_ceiling
from memspan.kernels.cpu.threads import torch_held

OPERATIONS = 2.0 * M * K * N
_TIMES = 50
_TURNS = 7


def ceilings(threads: int) -> dict[str, float]:
    """Return name → GFLOP/s of one product after the other, the best of a few turns.

    Each library is tried both ways: one product shared by the threads, and a product for every thread.
    """
    found = {"own microkernel": own_ceiling(threads)}
    for name, call in _libraries().items():
        found[name] = max(_shared(_repeated(call), threads), _apart(_repeated(call), threads))
    return found


def _shared(call: Callable[[], object], threads: int) -> float:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        return _best(call, 1)
    finally:
        torch.set_num_threads(before)


def _apart(call: Callable[[], object], threads: int) -> float:
    if threads == 1:
        return _shared(call, 1)
    with torch_held(), ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        return _best(lambda: [f.result() for f in [pool.submit(call) for _ in range(threads)]], threads)


def _repeated(call: Callable[[], object]) -> Callable[[], None]:
    def repeat() -> None:
        with torch.no_grad():
            for _ in range(_TIMES):
                call()

    return repeat


def _best(work: Callable[[], object], products: int) -> float:
    """Return the GFLOP/s of the fastest turn: a ceiling is what the machine can do, not what it is used to.

    Args:
        work: does ``_TIMES`` times so many products.
    """
    work()
    taken = []
    for _ in range(_TURNS):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return products * _TIMES * OPERATIONS / min(taken) / 1e9


def _libraries() -> dict[str, Callable[[], object]]:
    """Return the products of other libraries; each call writes where no other thread does."""
    a, b = torch.randn(M, K), torch.randn(K, N)
    calls: dict[str, Callable[[], object]] = {"torch.mm": lambda: torch.mm(a, b)}
    if torch.backends.mkldnn.is_available():
        wide, packed = a.to_mkldnn(), b.T.contiguous().to_mkldnn()
        calls["oneDNN"] = lambda: torch._C._nn.mkldnn_linear(wide, packed, None)
    return calls
