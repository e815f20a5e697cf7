"""Which classes look alike to the network now: batches of them teach what tells them apart.

Drawn at random, two classes that are confused seldom meet in a batch of a large catalogue. Taking a
class with those nearest to it is class-level hard negative mining (Suh et al. 2019, "Stochastic
Class-Based Hard Example Mining for Deep Metric Learning", CVPR), here by catalogue pictures.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Indexes = npt.NDArray[np.int64]
# Drawn from so many times as many neighbours: the same ones need not meet every time.
REACH = 2


class LookAlikes:
    """The last embedding of every class's catalogue picture, and groups of near classes."""

    def __init__(self, rows: Floats, group: int) -> None:
        """Begin with unit rows `[C, D]`; `group` classes are drawn together."""
        self._rows = rows.copy()
        self._group = group

    @property
    def rows(self) -> Floats:
        """Unit rows `[C, D]`, for a checkpoint."""
        return self._rows

    def restore(self, rows: Floats) -> None:
        """Take over the rows of a checkpoint."""
        self._rows[:] = rows

    def push(self, rows: Floats, classes: npt.NDArray[np.int32]) -> None:
        """Store unit rows `[B, D]` of `classes`, int32 `[B]` in 0..C - 1."""
        self._rows[classes] = rows

    def draw(self, count: int, rng: np.random.Generator) -> Indexes:
        """Draw `count` different classes in groups: one at random, others among its nearest."""
        left = np.ones(len(self._rows), bool)
        drawn: list[int] = []
        while len(drawn) < min(count, len(left)):
            first = int(rng.choice(np.flatnonzero(left)))
            left[first] = False
            size = min(self._group, count - len(drawn)) - 1
            near = np.argsort(-(self._rows @ self._rows[first]), kind="stable")
            near = near[left[near]][: REACH * size]
            others = rng.choice(near, min(size, len(near)), replace=False)
            left[others] = False
            drawn += [first, *others.tolist()]
        return np.array(drawn, np.int64)
