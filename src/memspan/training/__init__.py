"""From a pack of runs to a stream of events. Training writes nothing."""

from memspan.training.train import train

__all__ = ["train"]
