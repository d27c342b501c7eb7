"""The report's study as data: which runs there are, and what each of them is for. Nothing here trains."""

from memspan.study.experiment import Experiment, Preset
from memspan.study.presets import EXPERIMENTS, PRESETS, preset

__all__ = ["EXPERIMENTS", "PRESETS", "Experiment", "Preset", "preset"]
