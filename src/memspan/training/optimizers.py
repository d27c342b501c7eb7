"""Update rules over stacked replicas, one replica at a time so that its bits do not depend on the pack.

The report prints two of these rules. Where it errs the corrected form is used and said so.
"""

from __future__ import annotations

import abc
import math
from typing import ClassVar

import torch
from torch import Tensor

from memspan.config import Recipe
from memspan.errors import UnknownNameError


class Rule(abc.ABC):
    """An update rule for one flat parameter vector.

    ``slots`` names the state vectors it keeps; each starts at zero.
    """

    name: ClassVar[str]
    slots: ClassVar[tuple[str, ...]]

    @abc.abstractmethod
    def update(self, w: Tensor, g: Tensor, state: dict[str, Tensor], learning_rate: float, t: int) -> None:
        """Change w in place by update number t = 1, 2, …

        Shapes:
            w, g and every state vector (P,).
        """

    @abc.abstractmethod
    def numbers(self, learning_rate: float, t: int) -> tuple[float, ...]:
        """Return what the compiled rule of this name takes at update t; see ``kernels/cpu/rules.py``."""


class RMSProp(Rule):
    """RMSProp (Tieleman & Hinton 2012), equal to ``torch.optim.RMSprop``.

    Equations:
        r_t = α r_{t−1} + (1 − α) g_t ⊙ g_t
        w_{t+1} = w_t − η g_t / (√r_t + ε), with α = 0.99 and ε = 1e-8 outside the root

    Differs:
        The report calls r_t the variance; it is the uncentred second moment. Its ⊙ stands before
        g_t², where only a scalar multiplies; the square is the elementwise product.
    """

    name = "rmsprop"
    slots = ("square",)

    def __init__(self, alpha: float = 0.99, epsilon: float = 1e-8) -> None:
        self.alpha, self.epsilon = alpha, epsilon

    def update(self, w: Tensor, g: Tensor, state: dict[str, Tensor], learning_rate: float, t: int) -> None:
        """Apply the equations above."""
        r = state["square"].mul_(self.alpha).addcmul_(g, g, value=1 - self.alpha)
        w.addcdiv_(g, r.sqrt().add_(self.epsilon), value=-learning_rate)

    def numbers(self, learning_rate: float, t: int) -> tuple[float, ...]:
        """Return η, α, 1 − α and ε."""
        return learning_rate, self.alpha, 1 - self.alpha, self.epsilon


class Adam(Rule):
    """Adam (Kingma & Ba 2015), equal to ``torch.optim.Adam``.

    Equations:
        m_t = β₁ m_{t−1} + (1 − β₁) g_t,  v_t = β₂ v_{t−1} + (1 − β₂) g_t ⊙ g_t
        m̂_t = m_t / (1 − β₁ᵗ),  v̂_t = v_t / (1 − β₂ᵗ)
        w_{t+1} = w_t − η m̂_t / (√v̂_t + ε)

    Differs:
        The report prints the corrections as 1 − β₁ and 1 − β₂, without the power t; with those the
        moments stay ten and a thousand times too large for ever.
    """

    name = "adam"
    slots = ("mean", "square")

    def __init__(self, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8) -> None:
        self.beta1, self.beta2, self.epsilon = beta1, beta2, epsilon

    def update(self, w: Tensor, g: Tensor, state: dict[str, Tensor], learning_rate: float, t: int) -> None:
        """Apply the equations above."""
        m = state["mean"].lerp_(g, 1 - self.beta1)
        v = state["square"].mul_(self.beta2).addcmul_(g, g, value=1 - self.beta2)
        denominator = v.sqrt().div_(math.sqrt(1 - self.beta2**t)).add_(self.epsilon)
        w.addcdiv_(m, denominator, value=-learning_rate / (1 - self.beta1**t))

    def numbers(self, learning_rate: float, t: int) -> tuple[float, ...]:
        """Return η / (1 − β₁ᵗ), 1 − β₁, β₂, 1 − β₂, ε and √(1 − β₂ᵗ)."""
        step, root = learning_rate / (1 - self.beta1**t), math.sqrt(1 - self.beta2**t)
        return step, 1 - self.beta1, self.beta2, 1 - self.beta2, self.epsilon, root


class SGD(Rule):
    """Gradient descent with momentum, equal to ``torch.optim.SGD``.

    Equations:
        b_t = μ b_{t−1} + g_t
        w_{t+1} = w_t − η b_t
    """

    name = "sgd"
    slots = ("momentum",)

    def __init__(self, momentum: float = 0.9) -> None:
        self.momentum = momentum

    def update(self, w: Tensor, g: Tensor, state: dict[str, Tensor], learning_rate: float, t: int) -> None:
        """Apply the equations above."""
        w.add_(state["momentum"].mul_(self.momentum).add_(g), alpha=-learning_rate)

    def numbers(self, learning_rate: float, t: int) -> tuple[float, ...]:
        """Return η and μ."""
        return learning_rate, self.momentum


def rule_of(recipe: Recipe) -> Rule:
    """Return the update rule a recipe names."""
    if recipe.optimizer == "rmsprop":
        return RMSProp()
    if recipe.optimizer == "adam":
        return Adam()
    if recipe.optimizer == "sgd":
        return SGD(recipe.momentum)
    raise UnknownNameError("optimizer", recipe.optimizer, ["rmsprop", "adam", "sgd"])


def learning_rate(recipe: Recipe, t: int) -> float:
    """Return the learning rate of update t = 1, 2, …: decayed once every ``lr_decay_steps`` updates."""
    return recipe.learning_rate * recipe.lr_decay ** ((t - 1) // recipe.lr_decay_steps)


def clip(g: Tensor, largest: float) -> float:
    """Scale a flat gradient in place so that its norm is at most ``largest``; 0 leaves it.

    Returns:
        The norm before scaling. As ``torch.nn.utils.clip_grad_norm_``, the factor is
        largest / (norm + 1e-6).
    """
    norm = torch.linalg.vector_norm(g)
    if largest > 0:
        g.mul_(torch.clamp(largest / (norm + 1e-6), max=1.0))
    return float(norm)
