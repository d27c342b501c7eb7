"""The fused CPU kernel: Numba source, no compiler on the user's machine. Start at ``sequence.py``."""
