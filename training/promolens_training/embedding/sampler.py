"""Class-balanced batches: P classes, and of each a fixed number of pictures from each world.

Hermans et al. 2017, "In Defense of the Triplet Loss" (arXiv 1703.07737), call it PK sampling.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from promolens_runtime.errors import InputError
from promolens_training.embedding.look_alikes import LookAlikes

Indexes = npt.NDArray[np.int64]


def rows_by_class(labels: npt.NDArray[np.int64]) -> dict[int, Indexes]:
    """Return the row numbers of each label, ascending."""
    return {int(label): np.flatnonzero(labels == label) for label in np.unique(labels)}


def balanced_batch(
    pools: Sequence[tuple[Mapping[int, Indexes], int]],
    classes: npt.NDArray[np.int64],
    class_count: int,
    seed: Sequence[int],
    look_alikes: LookAlikes | None = None,
) -> Indexes:
    """Draw one batch: `class_count` classes, and from each pool its count of rows of each class.

    Args:
        pools: (rows by class, how many a class), such as photos and catalogue pictures. A class
            that a pool lacks gets none from it; one with too few rows gets some twice.
        classes: labels to draw from, without replacement.
        class_count: P, at most the number of classes (fewer are drawn where there are fewer).
        seed: names the batch; the same seed gives the same rows.
        look_alikes: over `classes` in their order; draws near ones together.

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
    if look_alikes is None:
        drawn = rng.choice(classes, min(class_count, len(classes)), replace=False)
    else:
        drawn = classes[look_alikes.draw(class_count, rng)]
    rows: list[Indexes] = []
    for by_class, count in pools:
        for label in drawn:
            own = by_class.get(int(label))
            if own is not None and count > 0:
                rows.append(rng.choice(own, count, replace=len(own) < count))
    return np.concatenate(rows) if rows else np.zeros(0, np.int64)
