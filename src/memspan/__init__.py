"""memspan: recurrent layers, fused CPU kernels, and how long a network remembers."""

__version__ = "0.1.0"
