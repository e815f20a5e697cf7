"""Measures of one ranked gallery a query: recall at k, precision at k, MAP@R, mAP with junk.

Everything follows from the places of the relevant items, so a gallery of any size needs no sorting:
a place is the number of items that come before. Equal scores keep gallery order, as the index does.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Places = NDArray[np.int64]
Scores = NDArray[np.floating]
Mask = NDArray[np.bool_]


def places_of_relevant(scores: Scores, relevant: Mask, ignored: Mask | None = None) -> Places:
    """Return the places (0 = first) of the relevant items of one query, rising.

    Args:
        scores: `[g]`, higher is better, without NaN.
        relevant: bool `[g]`.
        ignored: bool `[g]`, items that are taken out of the ranking before places are counted (the
            query itself; the "junk" of Philbin et al., CVPR 2007). They win over `relevant`.

    Raises:
        ValueError: shapes differ, or a score is NaN.
    """
    scores = np.asarray(scores)
    if relevant.shape != scores.shape or (ignored is not None and ignored.shape != scores.shape):
        raise ValueError(
            f"Expected masks of shape {scores.shape}. Received {relevant.shape} and "
            f"{None if ignored is None else ignored.shape}. Give one flag an item."
        )
    if np.isnan(scores).any():
        raise ValueError("Expected scores without NaN. Received NaN. Check the vectors.")
    if ignored is not None:
        scores, relevant = scores[~ignored], relevant[~ignored]
    wanted = np.flatnonzero(relevant)
    falling = np.sort(-scores)
    places = np.empty(len(wanted), np.int64)
    for number, index in enumerate(wanted):
        better = int(np.searchsorted(falling, -scores[index], side="left"))
        equal_before = int(np.count_nonzero(scores[:index] == scores[index]))
        places[number] = better + equal_before
    return np.sort(places)


def hit_at(places: Places, k: int) -> bool:
    """Tell whether a relevant item is among the first `k` (recall@k of one query, also CMC@k)."""
    return bool(len(places) and places[0] < k)


def precision_at(places: Places, k: int) -> float:
    """Return the share of relevant items among the first `k`, 0..1."""
    return float(np.count_nonzero(places < k)) / k


def average_precision_at_r(places: Places) -> float:
    """Return MAP@R of one query: precision summed at the hits among the first R, over R.

    R is the number of relevant items (Musgrave, Belongie, Lim, ECCV 2020, arXiv 2003.08505).
    Without relevant items there is no answer to find: 0.
    """
    r = len(places)
    if r == 0:
        return 0.0
    inside = places[places < r]
    return float(np.sum(np.arange(1, len(inside) + 1) / (inside + 1)) / r)


def average_precision(places: Places) -> float:
    """Return the average precision of one query as the Oxford and Paris benchmarks compute it.

    The area under the precision-recall curve by trapezoids: each hit adds the mean of the precision
    just before and at it (Radenovic et al., CVPR 2018, arXiv 1803.11285). 0 without relevant items.
    """
    if len(places) == 0:
        return 0.0
    numbers = np.arange(len(places))
    before = np.where(places == 0, 1.0, numbers / np.maximum(places, 1))
    at = (numbers + 1) / (places + 1)
    return float(np.mean((before + at) / 2))


def easy_medium_hard(easy: Mask, hard: Mask, junk: Mask) -> dict[str, tuple[Mask, Mask]]:
    """Return `{protocol: (relevant, ignored)}` of the revisited protocols (arXiv 1803.11285).

    Easy looks for easy positives and ignores hard ones, Hard the other way round, Medium looks for
    both; junk is always ignored.
    """
    return {
        "easy": (easy, junk | hard),
        "medium": (easy | hard, junk),
        "hard": (hard, junk | easy),
    }


def share(hits: Sequence[bool]) -> float:
    """Return the share of true values, 0..1. Raises ValueError without any."""
    if not hits:
        raise ValueError("Expected at least one query. Received none.")
    return float(np.mean(np.asarray(hits, np.float64)))
