"""How wide a vector of this host is."""

# mypy: disable-error-code="call-arg, attr-defined, no-untyped-def"

from __future__ import annotations

from numba.core import codegen


def host_features() -> frozenset[str]:
    """Return the CPU features Numba compiles for: the host's, or those NUMBA_CPU_FEATURES names."""
    from numba.core import config

    named = config.CPU_FEATURES
    text = codegen.get_host_cpu_features() if named is None else named
    return frozenset(part[1:] for part in text.split(",") if part.startswith("+"))


def lanes_for(features: frozenset[str]) -> int:
    """Return how many floats one vector of a host with these features holds."""
    if {"avx512f", "avx512vl"} <= features:
        return 16
    return 8 if "avx" in features else 4


LANES = lanes_for(host_features())
VECTOR_BYTES = 4 * LANES
IS_X86 = "sse2" in host_features()
