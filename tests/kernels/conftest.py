"""The kernel a law is asked of: the reference, or the one that a variant is there to test."""

import pytest
from kernel_cases import fused


@pytest.fixture
def kernel(request):
    """Return a kernel's name; ``"fused"`` stands for the variant's own."""
    return fused(request.node.callspec.params["variant"]) if request.param == "fused" else request.param
