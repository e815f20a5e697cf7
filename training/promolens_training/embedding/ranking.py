"""What place the right catalogue picture takes for each photo."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


def unit_rows(rows: Floats) -> Floats:
    """Return rows of length 1, float32; a zero row stays zero."""
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(length, 1e-12), np.float32)


def places(
    queries: Floats,
    query_labels: npt.NDArray[np.int64],
    gallery: Floats,
    gallery_labels: npt.NDArray[np.int64],
) -> npt.NDArray[np.int64]:
    """Return for each query how many gallery classes come before its own, 0 for a right answer.

    Args:
        queries: float32 `[n, d]`; gallery: float32 `[m, d]`; both of any length: cosine decides.
        gallery_labels: each query's label is among them. A class with several pictures counts by
            its nearest one. A class that is as near as the right one comes before it.
    """
    cosine = unit_rows(queries) @ unit_rows(gallery).T
    classes = np.unique(gallery_labels)
    best = np.stack([cosine[:, gallery_labels == label].max(axis=1) for label in classes], axis=1)
    own_column = np.searchsorted(classes, query_labels)
    own = best[np.arange(len(queries)), own_column]
    ahead = best >= own[:, None]
    return np.asarray(ahead.sum(axis=1) - 1, np.int64)
