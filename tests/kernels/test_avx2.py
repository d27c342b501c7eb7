"""The kernel as a host without AVX-512 compiles it: other vectors, other tiles, the same numbers."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from memspan import simd

FEATURES = "+sse2,+ssse3,+sse4.1,+sse4.2,+popcnt,+avx,+avx2,+fma,+bmi,+bmi2,+lzcnt,+f16c,+movbe,+cx16"
CODE = """
import sys, torch
from kernel_cases import SPARSE, VARIANTS, error, fused, make, run
from tolerances import TOLERANCES
from memspan import simd
assert simd.LANES == 8, simd.LANES
variants = VARIANTS if sys.argv[1] == "full" else [VARIANTS[1], SPARSE[-1]]
for variant in variants:
    for R, T, B, D, H in ((1, 4, 5, 1, 16), (2, 3, 37, 3, 33), (1, 5, 1, 2, 1), (1, 3, 64, 17, 100)):
        case = make(variant, R, T, B, D, H)
        options = {"lengths": torch.arange(B).remainder(T + 1).expand(R, B)}
        want = run(case, "reference", torch.float64, **options)
        worst, where = error(run(case, fused(variant), **options), want)
        assert worst <= TOLERANCES["float32"], (variant, B, H, worst, where)
from memspan.kernels.cpu import cache
module = next(iter(cache._LOADED.values()))
assert not any("zmm" in text for text in module.forward.inspect_asm().values())
"""


def check(which):
    here = Path(__file__).parent
    environment = {
        **os.environ,
        "NUMBA_CPU_NAME": "haswell",
        "NUMBA_CPU_FEATURES": FEATURES,
        "PYTHONPATH": f"{here}{os.pathsep}{here.parent}",
    }
    done = subprocess.run(
        [sys.executable, "-c", CODE, which],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif("avx2" not in simd.host_features(), reason="the host has no AVX2")
def test_one_cell_held_to_avx2():
    check("one")


@pytest.mark.slow
@pytest.mark.skipif("avx2" not in simd.host_features(), reason="the host has no AVX2")
def test_every_cell_held_to_avx2():
    check("full")
