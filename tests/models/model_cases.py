"""Small character models with weights large enough to disagree about what comes next."""

import torch

from memspan.config import Recipe
from memspan.models.character import CharacterModel
from memspan.text.vocabulary import Vocabulary

TEXT = "the right of the people to keep and bear arms, shall not be infringed. so be it; or not"
LETTERS = Vocabulary.of([TEXT])
BYTES = Vocabulary("byte")


def made(cell="lstm", hidden=20, layers=2, vocabulary=LETTERS, embedding=0, seed=0, **recipe):
    """Return a model whose weights are drawn from a seed, three times as large as usual."""
    torch.manual_seed(seed)
    page = Recipe(cell=cell, hidden=hidden, layers=layers, biases=2, coding="one_hot", **recipe)
    model = CharacterModel(vocabulary, page, embedding=embedding)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "log_period" not in name and "shift" not in name and "open" not in name:
                weight.mul_(3)
    return model.eval()
