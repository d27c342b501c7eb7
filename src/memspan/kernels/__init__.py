"""Ways to unroll a cell over time: the reference loop and the fused CPU kernel."""

from memspan.kernels.unroll import Choice, Unrolled, choose, unroll

__all__ = ["Choice", "Unrolled", "choose", "unroll"]
