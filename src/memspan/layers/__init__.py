"""Recurrent layers in place of ``torch.nn``'s, and any cell of your own as a layer."""

from memspan.layers.recurrent import Recurrent
from memspan.layers.torch_like import GRU, LSTM, RNN

__all__ = ["GRU", "LSTM", "RNN", "Recurrent"]
