"""Measures of scored pairs: micro average precision, ROC, equal error rate, rates at a threshold.

A pair is a query and a reference with a score; it matches or not. Higher scores mean more alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.floating]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Roc:
    """The points of an ROC curve, one a distinct score, from accepting nothing to everything.

    Attributes:
        thresholds: float64 `[p]`, falling; the first is infinity. A pair is accepted at or above.
        tpr: share of matching pairs accepted, `[p]`, 0..1.
        fpr: share of other pairs accepted, `[p]`, 0..1.
    """

    thresholds: NDArray[np.float64]
    tpr: NDArray[np.float64]
    fpr: NDArray[np.float64]

    @property
    def auc(self) -> float:
        """The area under the curve, 0..1; equal scores count half."""
        return float(np.trapezoid(self.tpr, self.fpr))

    @property
    def equal_error_rate(self) -> float:
        """The rate where as many matches are lost as others are accepted, interpolated."""
        gap = (1 - self.tpr) - self.fpr
        after = int(np.argmax(gap <= 0))
        if gap[after] == 0 or after == 0:
            return float(self.fpr[after])
        weight = gap[after - 1] / (gap[after - 1] - gap[after])
        return float(self.fpr[after - 1] + weight * (self.fpr[after] - self.fpr[after - 1]))

    def tpr_at_fpr(self, fpr: float) -> float:
        """Return the largest true positive rate at a false positive rate of at most `fpr`."""
        return float(self.tpr[self.fpr <= fpr].max())

    def threshold_for_fpr(self, fpr: float) -> float:
        """Return the lowest threshold whose false positive rate is at most `fpr`."""
        return float(self.thresholds[self.fpr <= fpr].min())


def roc(scores: Scores, matches: Mask) -> Roc:
    """Return the ROC curve of pairs. Raises ValueError without both kinds of pairs."""
    accepted, right, thresholds = _cumulated(scores, matches)
    n_right, n_wrong = int(np.sum(matches)), int(np.sum(~matches))
    if n_right == 0 or n_wrong == 0:
        raise ValueError(
            f"Expected matching and other pairs. Received {n_right} matching and {n_wrong} others."
        )
    return Roc(
        thresholds=np.concatenate([[np.inf], thresholds]),
        tpr=np.concatenate([[0.0], right / n_right]),
        fpr=np.concatenate([[0.0], (accepted - right) / n_wrong]),
    )


def micro_average_precision(scores: Scores, matches: Mask, n_matches: int) -> float:
    """Return uAP: one precision-recall curve over the pairs of all queries, 0..1.

    `n_matches` counts all matches that exist, found or not, so that a pair that was never proposed
    counts as lost (Perronnin et al., CVPR 2009; DISC21, arXiv 2106.09672). Equal scores enter
    together, so that their order cannot flatter.

    Raises:
        ValueError: `n_matches` is below the matches given, or below 1.
    """
    found = int(np.sum(matches))
    if n_matches < max(found, 1):
        raise ValueError(
            f"Expected n_matches of at least {max(found, 1)}. Received {n_matches}. "
            "Count every match that exists."
        )
    accepted, right, _ = _cumulated(scores, matches)
    gained = np.diff(np.concatenate([[0], right]))
    return float(np.sum(gained * right / accepted) / n_matches)


def recall_at_precision(scores: Scores, matches: Mask, n_matches: int, precision: float) -> float:
    """Return the largest recall with a precision of at least `precision`, 0 where there is none."""
    accepted, right, _ = _cumulated(scores, matches)
    enough = right / accepted >= precision
    return float(right[enough].max() / n_matches) if enough.any() else 0.0


@dataclass(frozen=True)
class RatesAt:
    """What a threshold that was fixed beforehand does on pairs; rates in 0..1."""

    threshold: float
    tpr: float
    fpr: float
    precision: float

    @property
    def balanced_accuracy(self) -> float:
        """The mean of the shares of both kinds that are judged rightly."""
        return (self.tpr + 1 - self.fpr) / 2


def rates_at(threshold: float, scores: Scores, matches: Mask) -> RatesAt:
    """Judge pairs by `score >= threshold`. Precision is 1 where nothing is accepted.

    Raises:
        ValueError: there are not both kinds of pairs.
    """
    accepted = np.asarray(scores) >= threshold
    if not matches.any() or matches.all():
        raise ValueError("Expected matching and other pairs. Received one kind only.")
    right = int(np.sum(accepted & matches))
    return RatesAt(
        threshold=threshold,
        tpr=float(np.mean(accepted[matches])),
        fpr=float(np.mean(accepted[~matches])),
        precision=right / int(np.sum(accepted)) if accepted.any() else 1.0,
    )


def _cumulated(
    scores: Scores, matches: Mask
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Count, at each distinct score from the highest, the pairs and the matches at or above it."""
    exact = np.asarray(scores, np.float64)
    matches = np.asarray(matches, np.bool_)
    if exact.shape != matches.shape or exact.ndim != 1:
        raise ValueError(
            f"Expected as many scores as flags. Received {exact.shape} and {matches.shape}."
        )
    if np.isnan(exact).any():
        raise ValueError("Expected scores without NaN. Received NaN. Check the vectors.")
    order = np.argsort(-exact, kind="stable")
    falling = exact[order]
    last = np.flatnonzero(np.append(np.diff(falling) != 0, True)) if len(falling) else order
    right = np.cumsum(matches[order])[last]
    return last.astype(np.int64) + 1, right.astype(np.int64), falling[last]
