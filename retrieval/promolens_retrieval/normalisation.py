"""Score normalisation: how unusual is a score for this query, not how high it is.

A blurred or plain picture is similar to everything. What it scores against a background set, which
holds none of its matches, is taken off, so that one threshold serves all queries (SSCD: Pizzi et
al., "A Self-Supervised Descriptor for Image Copy Detection", CVPR 2022; the same idea with a mean
over both sides is CSLS: Conneau et al., "Word Translation Without Parallel Data", 2018).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from promolens_retrieval.vectors import Doubles
from promolens_runtime.errors import InputError

_AT_ONCE = 1_024


@dataclass(frozen=True)
class NormalisationConfig:
    """How the background counts.

    Attributes:
        first, last: the ranks of background scores whose mean is taken off, counted from 1.
        weight: how much of that mean.
    """

    first: int = 1
    last: int = 10
    weight: float = 1.0

    def __post_init__(self) -> None:
        """Check the numbers; raises InputError."""
        if not 1 <= self.first <= self.last or not 0 <= self.weight <= 10:
            raise InputError(
                f"Expected ranks 1 <= first <= last and a weight from 0 to 10. Received {self}. "
                "Correct them."
            )


def background_means(
    queries: NDArray[np.floating],
    background: NDArray[np.floating],
    config: NormalisationConfig | None = None,
) -> Doubles:
    """Return `[m]`: the mean score of each query with the background's nearest.

    Args:
        queries: unit vectors `[m, dim]`.
        background: unit vectors `[b, dim]` that match no query: drawn from training pictures.

    Raises:
        InputError: fewer background vectors than ranks, or another length.
    """
    config = config or NormalisationConfig()
    if len(background) < config.last or background.ndim != 2:
        raise InputError(
            f"Expected at least {config.last} background vectors. Received {len(background)}. "
            "Give more, or fewer ranks."
        )
    if queries.ndim != 2 or queries.shape[1] != background.shape[1]:
        raise InputError(
            f"Expected queries of shape [m, {background.shape[1]}]. Received {queries.shape}. "
            "Use the background of their model."
        )
    known = background.astype(np.float64)
    means = np.empty(len(queries))
    for start in range(0, len(queries), _AT_ONCE):
        scores = queries[start : start + _AT_ONCE].astype(np.float64) @ known.T
        nearest = np.partition(scores, -config.last, axis=1)[:, -config.last :]
        falling = -np.sort(-nearest, axis=1)
        means[start : start + len(scores)] = falling[:, config.first - 1 :].mean(axis=1)
    return means


def normalised(
    scores: NDArray[np.floating],
    query_mean: float | Doubles,
    reference_mean: float | Doubles = 0.0,
    config: NormalisationConfig | None = None,
) -> Doubles:
    """Return scores less the background's: 0 is what an unrelated picture would score.

    With `reference_mean`, of the references against the same background, half of each is taken off:
    CSLS divided by two.
    """
    config = config or NormalisationConfig()
    both = not (np.isscalar(reference_mean) and reference_mean == 0.0)
    off = (np.asarray(query_mean) + np.asarray(reference_mean)) / (2 if both else 1)
    found: Doubles = np.asarray(scores, np.float64) - config.weight * off
    return found
