"""Named cut-points: from a score to `copy`, `likely`, `weak` or `none`, and how often that is true.

A person cannot read a cosine. So a score becomes an estimated precision: of validation pairs with
such a score, how many were true? It rises with the score by construction (isotonic regression by
pooling adjacent violators: Ayer et al. 1955; as a calibrator: Zadrozny and Elkan, KDD 2002). Each
name begins at the lowest score from which on its target precision held in validation. Cut-points
are fitted on a validation split and frozen; what they reach is measured on another (`check`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from promolens_runtime.errors import InputError
from promolens_runtime.intervals import rate_interval

Band = Literal["copy", "likely", "weak", "none"]
BANDS: tuple[Band, ...] = ("copy", "likely", "weak")
"""The names that have a cut-point, from the strictest on; below the last is `none`."""
MIN_PAIRS = 20


@dataclass(frozen=True)
class CutPointConfig:
    """Which precision a name promises, 0..1, falling."""

    copy: float = 0.95
    likely: float = 0.7
    weak: float = 0.3

    def __post_init__(self) -> None:
        """Check the numbers; raises InputError."""
        if not 1 >= self.copy > self.likely > self.weak > 0:
            raise InputError(
                f"Expected 1 >= copy > likely > weak > 0. Received {self}. Correct them."
            )


@dataclass(frozen=True)
class CutPoint:
    """Where a name begins.

    Attributes:
        least_score: the lowest score of the name; None where validation never reached the target.
        precision: share of true pairs among validation pairs of this name, 0..1.
        low, high: its 95 % interval, by source.
        n: how many pairs that was.
    """

    band: Band
    least_score: float | None
    precision: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class CutPoints:
    """What was fitted, ready for a model's card.

    Attributes:
        points: of `copy`, `likely` and `weak`.
        scores, precisions: rising; between two of them the lower one's precision holds.
    """

    points: tuple[CutPoint, ...]
    scores: tuple[float, ...]
    precisions: tuple[float, ...]

    def band(self, score: float) -> Band:
        """Return the name of a score."""
        for point in self.points:
            if point.least_score is not None and score >= point.least_score:
                return point.band
        return "none"

    def precision(self, score: float) -> float:
        """Return the estimated precision of a score, 0..1."""
        place = int(np.searchsorted(self.scores, score, side="right")) - 1
        return self.precisions[max(place, 0)] if place >= 0 else 0.0

    def as_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> CutPoints:
        """Read what was written; raises InputError where it is something else."""
        try:
            points = tuple(CutPoint(**point) for point in data["points"])
            scores = tuple(float(score) for score in data["scores"])
            precisions = tuple(float(share) for share in data["precisions"])
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"Expected cut-points. Received something else ({error}). Fit them again."
            ) from error
        in_order = list(scores) == sorted(scores) and list(precisions) == sorted(precisions)
        if len(scores) != len(precisions) or not scores or not in_order:
            raise InputError(
                "Expected rising scores and precisions, as many of each. Received others. "
                "Fit them again."
            )
        return cls(points, scores, precisions)


def fit(
    scores: NDArray[np.floating],
    matches: NDArray[np.bool_],
    sources: Sequence[str],
    config: CutPointConfig | None = None,
) -> CutPoints:
    """Fit cut-points on a validation split.

    Args:
        scores: `[n]`, of the best answers of validation queries, as they come from the index and
            with the same share of queries that have no match as in use.
        matches: bool `[n]`: whether the pair is true.
        sources: `[n]`: pairs of one source count together; an empty name stands alone.

    Raises:
        InputError: fewer than 20 pairs, other lengths, NaN, or only one kind of pair.
    """
    values, truths = _checked(scores, matches, sources)
    config = config or CutPointConfig()
    steps, shares = isotonic(values, truths)
    starts = [_least(values, truths, getattr(config, band)) for band in BANDS]
    points = []
    above = np.inf
    for band, least in zip(BANDS, starts, strict=True):
        start = None if least is None or least >= above else least
        inside = np.zeros(len(values), bool) if start is None else (values >= start)
        inside &= values < above
        points.append(_point(band, start, truths[inside], sources, np.flatnonzero(inside)))
        above = above if start is None else start
    return CutPoints(tuple(points), tuple(steps.tolist()), tuple(shares.tolist()))


def check(
    cut_points: CutPoints,
    scores: NDArray[np.floating],
    matches: NDArray[np.bool_],
    sources: Sequence[str],
) -> tuple[CutPoint, ...]:
    """Return what frozen cut-points reach on another split: the figure to report."""
    values, truths = _checked(scores, matches, sources)
    bands = np.array([cut_points.band(float(value)) for value in values])
    found = []
    for point in cut_points.points:
        inside = np.flatnonzero(bands == point.band)
        found.append(_point(point.band, point.least_score, truths[inside], sources, inside))
    return tuple(found)


def isotonic(
    scores: NDArray[np.float64], matches: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return rising steps: from each score on, the share of matches, by pooling violators."""
    values, inverse = np.unique(scores, return_inverse=True)
    true = np.bincount(inverse, weights=matches.astype(np.float64))
    all_ = np.bincount(inverse).astype(np.float64)
    pools: list[tuple[int, float, float]] = []
    for place in range(len(values)):
        pools.append((place, float(true[place]), float(all_[place])))
        while len(pools) > 1 and pools[-2][1] * pools[-1][2] >= pools[-1][1] * pools[-2][2]:
            (first, t1, n1), (_, t2, n2) = pools[-2:]
            pools[-2:] = [(first, t1 + t2, n1 + n2)]
    firsts = np.array([first for first, _, _ in pools])
    return values[firsts], np.array([t / n for _, t, n in pools])


def _least(values: NDArray[np.float64], truths: NDArray[np.bool_], target: float) -> float | None:
    """Return the lowest score from which on the share of matches is at least the target."""
    order = np.argsort(-values, kind="stable")
    shares = np.cumsum(truths[order]) / np.arange(1, len(order) + 1)
    # Only where the next score is another one: equal scores are in or out together.
    falling = values[order]
    ends = np.append(falling[1:] < falling[:-1], True)
    good = np.flatnonzero((shares >= target) & ends)
    return float(falling[good[-1]]) if len(good) else None


def _point(
    band: Band,
    least: float | None,
    truths: NDArray[np.bool_],
    sources: Sequence[str],
    places: NDArray[np.int64],
) -> CutPoint:
    if not len(truths):
        return CutPoint(band, least, 0.0, 0.0, 1.0, 0)
    interval = rate_interval(truths, [sources[int(place)] for place in places])
    return CutPoint(band, least, float(truths.mean()), interval.low, interval.high, len(truths))


def _checked(
    scores: NDArray[np.floating], matches: NDArray[np.bool_], sources: Sequence[str]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    values, truths = np.asarray(scores, np.float64), np.asarray(matches)
    if values.ndim != 1 or not len(values) == len(truths) == len(sources):
        raise InputError(
            f"Expected as many scores, matches and sources. Received {values.shape}, "
            f"{truths.shape} and {len(sources)}. Give one of each for a pair."
        )
    if len(values) < MIN_PAIRS or truths.dtype != np.bool_ or not np.isfinite(values).all():
        raise InputError(
            f"Expected at least {MIN_PAIRS} finite scores with True or False. Received "
            f"{len(values)} of {truths.dtype}. Take a larger validation split."
        )
    if truths.all() or not truths.any():
        raise InputError(
            "Expected true and false pairs. Received one kind only. Add queries without a match."
        )
    return values, truths
