"""Query expansion and database-side augmentation: a vector moves towards what is near it.

Good where a thing has many pictures (landmarks, used goods); harmful where only one match exists
(copies): the neighbours are others then, and pull the query away.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from promolens_retrieval.vectors import Doubles
from promolens_runtime.errors import InputError

ALPHA = 3.0
_AT_ONCE = 512


def expanded_query(
    query: NDArray[np.floating], neighbours: NDArray[np.floating], alpha: float = ALPHA
) -> Doubles:
    """Return the alpha-weighted mean of a query and its best answers, as a unit vector `[dim]`.

    Weights are `max(0, cosine) ** alpha`, the query's own is 1 (Radenović, Tolias and Chum,
    "Fine-tuning CNN Image Retrieval with No Human Annotation", TPAMI 2019, section 3.4; alpha 0 is
    the plain mean: Chum et al., "Total Recall", ICCV 2007).

    Args:
        query: unit vector `[dim]`.
        neighbours: unit vectors `[n, dim]` of the first answers; none leaves the query as it is.

    Raises:
        InputError: other lengths, or a negative alpha.
    """
    near = np.asarray(neighbours, np.float64)
    own = np.asarray(query, np.float64)
    if alpha < 0 or own.ndim != 1 or near.ndim != 2 or near.shape[1] != len(own):
        raise InputError(
            f"Expected a query [dim], neighbours [n, dim] and alpha of 0 or more. Received "
            f"{own.shape}, {near.shape} and {alpha}. Correct them."
        )
    weights = np.maximum(near @ own, 0.0) ** alpha
    whole: Doubles = own + weights @ near
    norm = float(np.linalg.norm(whole))
    # Opposite vectors can cancel out.
    return whole / norm if norm > 1e-12 else own


def augmented_database(
    vectors: NDArray[np.floating], neighbours: int = 10, alpha: float = ALPHA
) -> Doubles:
    """Return each vector as its expanded query among the others, unit vectors `[n, dim]`.

    Done once, before vectors are stored (Turcot and Lowe, 2009; with weights by score: Gordo et
    al., "End-to-end Learning of Deep Visual Representations for Image Retrieval", IJCV 2017).

    Args:
        vectors: unit vectors `[n, dim]`.
        neighbours: how many of its nearest others each takes up.

    Raises:
        InputError: another shape, or fewer than 1 neighbour.
    """
    whole = np.asarray(vectors, np.float64)
    if whole.ndim != 2 or neighbours < 1:
        raise InputError(
            f"Expected vectors [n, dim] and at least 1 neighbour. Received {whole.shape} and "
            f"{neighbours}. Correct them."
        )
    count = min(neighbours, len(whole) - 1)
    if count < 1:
        return whole.copy()
    found = np.empty_like(whole)
    for start in range(0, len(whole), _AT_ONCE):
        scores = whole[start : start + _AT_ONCE] @ whole.T
        own = np.arange(start, start + len(scores))
        scores[own - start, own] = -np.inf
        nearest = np.argpartition(-scores, count - 1, axis=1)[:, :count]
        for row, places in enumerate(nearest):
            found[start + row] = expanded_query(whole[start + row], whole[places], alpha)
    return found
