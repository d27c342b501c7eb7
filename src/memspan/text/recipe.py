"""The report's recipe for text, its Table 1: what a character model is trained by unless told otherwise."""

from memspan.config import Recipe

RECIPE = Recipe(
    layers=2,
    biases=2,
    dropout=0.5,
    init="stacked_xavier_normal",
    coding="one_hot",
    optimizer="adam",
    learning_rate=0.01,
    lr_decay=0.9,
    clip=5.0,
    batch=64,
    steps=2000,
)
"""Without a temperature; models A to D add theirs."""
