"""Two sensors, one of them slow: what did the slow one say first, and what did the fast one say last?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from memspan.errors import ArgumentError
from memspan.tasks.task import Batch, Task

WINDOWS, MAJORITY = 2, 5


@dataclass(frozen=True)
class TwoSensors(Task):
    """Events of a fast and a slow sensor, merged by time over two slow periods.

    Fast events at i + u, i = 0 … 2·ratio − 1; slow events at ratio·(j + u), j = 0, 1; each u uniform on
    [0, 1). An event is (value ±1, is_fast, is_slow). Two binary answers at the end: whether the *first* slow
    value is +1 (the second slow event is a distractor), and whether most of the last five fast values are.
    A network that has lost the slow sensor is right about the second only. Chance: ½ and ½, both ¼.

    Args:
        ratio: fast events for each slow one, at least 3; the report's case is 1000.

    Units:
        Milliseconds, the mean time between two fast events.

    Example:
        >>> batch = TwoSensors(10).sample(np.random.default_rng(0), 4)
        >>> batch.inputs.shape, batch.times.shape, batch.targets.shape
        ((22, 4, 3), (22, 4), (4, 2))
        >>> batch.inputs[:, 0, 2].sum(), bool((np.diff(batch.times, axis=0) >= 0).all())
        (np.float32(2.0), True)
    """

    ratio: int

    name = "two_sensors"
    axis = "ratio"
    symbols = 0
    features = 3
    classes = 2
    answers = 2
    solved_at = 0.99

    def __post_init__(self) -> None:
        if self.ratio < 3:
            raise ArgumentError(f"ratio {self.ratio}: two slow periods need at least {MAJORITY} fast events")

    @property
    def steps(self) -> int:
        """Events in a sequence, 2·ratio + 2."""
        return WINDOWS * self.ratio + WINDOWS

    @property
    def duration(self) -> float:
        """Milliseconds of a sequence, two slow periods."""
        return float(WINDOWS * self.ratio)

    def sample(self, generator: np.random.Generator, n: int) -> Batch:
        """Draw n sequences.

        Returns:
            inputs (T, n, 3), times (T, n), targets (n, 2): first slow value +1, majority of fast ones +1.
        """
        fast, slow = WINDOWS * self.ratio, WINDOWS
        at = np.concatenate([_events(generator, fast, 1, n), _events(generator, slow, self.ratio, n)])
        value = 2.0 * generator.integers(0, 2, size=(fast + slow, n)) - 1
        is_fast = np.broadcast_to((np.arange(fast + slow) < fast)[:, None], at.shape)
        answers = np.stack([value[fast] > 0, value[fast - MAJORITY : fast].sum(axis=0) > 0], axis=-1)
        order = np.argsort(at, axis=0, kind="stable")
        columns = np.stack([value, is_fast, ~is_fast], axis=-1)
        inputs = np.take_along_axis(columns, order[..., None], axis=0).astype(np.float32)
        return Batch(inputs, answers.astype(np.int64), np.take_along_axis(at, order, axis=0))


def _events(generator: np.random.Generator, count: int, gap: float, n: int) -> np.ndarray:
    """Return times gap·(i + u) in order, (count, n)."""
    return gap * (np.arange(count)[:, None] + generator.uniform(size=(count, n)))
