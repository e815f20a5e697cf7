"""Class-balanced batches: P classes, and of each a fixed number of pictures from each world.

Hermans et al. 2017, "In Defense of the Triplet Loss" (arXiv 1703.07737), call it PK sampling.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from promolens_runtime.errors import InputError

Indexes = npt.NDArray[np.int64]


def rows_by_class(labels: npt.NDArray[np.int64]) -> dict[int, Indexes]:
    """Return the row numbers of each label, ascending."""
    return {int(label): np.flatnonzero(labels == label) for label in np.unique(labels)}


def _siblings(
    classes: Indexes, families: Indexes, count: int, siblings: int, rng: np.random.Generator
) -> Indexes:
    drawn: list[int] = []
    for family in rng.permutation(np.unique(families)):
        own = classes[families == family]
        drawn += rng.choice(own, min(siblings, len(own)), replace=False).tolist()
        if len(drawn) >= count:
            break
    return np.array(drawn[:count], np.int64)


def balanced_batch(
    pools: Sequence[tuple[Mapping[int, Indexes], int]],
    classes: npt.NDArray[np.int64],
    class_count: int,
    seed: Sequence[int],
    families: npt.NDArray[np.int64] | None = None,
    siblings: int = 1,
) -> Indexes:
    """Draw one batch: `class_count` classes, and from each pool its count of rows of each class.

    Args:
        pools: (rows by class, how many a class), such as photos and catalogue pictures. A class
            that a pool lacks gets none from it; one with too few rows gets some twice.
        classes: labels to draw from, without replacement.
        class_count: P, at most the number of classes (fewer are drawn where there are fewer).
        seed: names the batch; the same seed gives the same rows.
        families: family of each of `classes`; with `siblings` above 1, so many of a family are
            drawn together, because what tells look-alikes apart is learned where they meet.

    Returns:
        int64 row numbers, pool after pool, class after class.

    Raises:
        InputError: there are fewer than two classes.
    """
    if len(classes) < 2:
        raise InputError(
            f"Expected photos of at least 2 classes. Received {len(classes)}. Add classes."
        )
    rng = np.random.default_rng(list(seed))
    if families is None or siblings == 1:
        drawn = rng.choice(classes, min(class_count, len(classes)), replace=False)
    else:
        drawn = _siblings(classes, families, class_count, siblings, rng)
    rows: list[Indexes] = []
    for by_class, count in pools:
        for label in drawn:
            own = by_class.get(int(label))
            if own is not None and count > 0:
                rows.append(rng.choice(own, count, replace=len(own) < count))
    return np.concatenate(rows) if rows else np.zeros(0, np.int64)
