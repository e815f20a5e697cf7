"""What a classifier's logits are worth: pure functions over arrays.

Labels are int64 in 0..c-1 everywhere in this file; photos of unknown objects (label -1) are the
business of `unknown.py` and have to be left out first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from promolens_runtime.intervals import Interval, mean_interval
from promolens_training.evaluation.arrays import Bools, Floats, Ints, log_softmax, softmax

ECE_BINS = 15


def ranks(logits: Floats, labels: Ints) -> NDArray[np.int64]:
    """Return the 0-based place of each photo's own class `[n]`; ties go to the lower index.

    That is `argmax`'s rule, so `ranks == 0` is exactly "the answer is right".
    """
    own = np.take_along_axis(logits, labels[:, None], axis=1)
    index = np.arange(logits.shape[1])
    ahead = (logits > own) | ((logits == own) & (index < labels[:, None]))
    result: NDArray[np.int64] = ahead.sum(axis=1, dtype=np.int64)
    return result


def top_k(logits: Floats, labels: Ints, k: int) -> float:
    """Return the share of photos whose own class is among the `k` highest logits."""
    return float(np.mean(ranks(logits, labels) < k))


@dataclass(frozen=True)
class ClassAccuracy:
    """One class's photos, how many were right, and where the wrong ones went most often."""

    label: str
    n: int
    correct: int
    mostly_taken_for: str | None = None

    @property
    def accuracy(self) -> float | None:
        """Share of right answers, None where there is no photo."""
        return self.correct / self.n if self.n else None


def confusion_matrix(logits: Floats, labels: Ints) -> NDArray[np.int64]:
    """Count photos int64 `[c, c]`: row = what it is, column = what the model says."""
    n_classes = logits.shape[1]
    cells = labels * n_classes + logits.argmax(axis=1)
    counts = np.bincount(cells, minlength=n_classes * n_classes)
    return counts.reshape(n_classes, n_classes).astype(np.int64)


def per_class(matrix: NDArray[np.int64], names: Sequence[str]) -> tuple[ClassAccuracy, ...]:
    """Return one `ClassAccuracy` a class, in output order, from a confusion matrix."""
    result = []
    for index, name in enumerate(names):
        wrong = matrix[index].copy()
        wrong[index] = 0
        taken = names[int(wrong.argmax())] if wrong.any() else None
        result.append(
            ClassAccuracy(name, int(matrix[index].sum()), int(matrix[index, index]), taken)
        )
    return tuple(result)


@dataclass(frozen=True)
class ConfusionPair:
    """Photos of class `actual` that were called `predicted`."""

    actual: str
    predicted: str
    count: int
    share: float  # of all photos of `actual`


def confusion_pairs(
    matrix: NDArray[np.int64], names: Sequence[str], limit: int | None = None
) -> tuple[ConfusionPair, ...]:
    """Return the off-diagonal cells that are not empty, most photos first, then by class order."""
    totals = matrix.sum(axis=1)
    rows, columns = np.nonzero(matrix * (1 - np.eye(len(names), dtype=np.int64)))
    order = sorted(
        zip(rows.tolist(), columns.tolist(), strict=True), key=lambda cell: (-matrix[cell], cell)
    )
    return tuple(
        ConfusionPair(
            names[row],
            names[column],
            int(matrix[row, column]),
            float(matrix[row, column] / totals[row]),
        )
        for row, column in order[:limit]
    )


def coarse_hits(
    logits: Floats, labels: Ints, parents: Sequence[str | None], temperature: float = 1.0
) -> Bools | None:
    """Tell for each photo `[n]` whether its parent has the highest summed probability.

    A class without a parent is a parent of its own. None where no class has a parent: then there
    is no hierarchy to be judged by.
    """
    if not any(parents):
        return None
    keys = [("parent", name) if name else ("self", index) for index, name in enumerate(parents)]
    order = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    of_class = np.array([order[key] for key in keys], np.int64)
    membership = np.zeros((len(keys), len(order)))
    membership[np.arange(len(keys)), of_class] = 1.0
    summed = softmax(logits, temperature) @ membership
    result: Bools = summed.argmax(axis=1) == of_class[labels]
    return result


def negative_log_likelihood(logits: Floats, labels: Ints, temperature: float = 1.0) -> float:
    """Return the mean of -ln p(own class), in nats."""
    own = np.take_along_axis(log_softmax(logits, temperature), labels[:, None], axis=1)
    return float(-own.mean())


@dataclass(frozen=True)
class ReliabilityBin:
    """Photos whose confidence lies in (low, high]; confidence and accuracy are None when empty."""

    low: float
    high: float
    n: int
    confidence: float | None
    accuracy: float | None


def reliability(
    logits: Floats, labels: Ints, temperature: float = 1.0, bins: int = ECE_BINS
) -> tuple[ReliabilityBin, ...]:
    """Compare confidence (highest probability) with accuracy in bins of equal width.

    Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", ICML 2017,
    arXiv 1706.04599, section 2: bin m holds the confidences in ((m - 1) / M, m / M].
    """
    confidence = softmax(logits, temperature).max(axis=1)
    # Rounding may lift a certain answer a hair over 1.
    number = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    hits = logits.argmax(axis=1) == labels
    result = []
    for index in range(bins):
        here = number == index
        n = int(here.sum())
        result.append(
            ReliabilityBin(
                index / bins,
                (index + 1) / bins,
                n,
                float(confidence[here].mean()) if n else None,
                float(hits[here].mean()) if n else None,
            )
        )
    return tuple(result)


def expected_calibration_error(bins: Sequence[ReliabilityBin]) -> float:
    """Return the gap between confidence and accuracy, averaged over photos (Guo et al. 2017)."""
    total = sum(each.n for each in bins)
    gaps = (
        each.n / total * abs(each.accuracy - each.confidence)
        for each in bins
        if each.accuracy is not None and each.confidence is not None
    )
    return float(sum(gaps))


def ece(logits: Floats, labels: Ints, temperature: float = 1.0) -> float:
    """Return the expected calibration error over 15 bins, 0..1 (0 is perfect)."""
    return expected_calibration_error(reliability(logits, labels, temperature))


def mcnemar_exact(won: int, lost: int) -> float:
    """Return the two-sided exact p-value that `won` and `lost` differ by chance.

    McNemar's test as a fair-coin binomial over the photos where just one of two models is right.
    """
    n = won + lost
    if n == 0:
        return 1.0
    tail = ways = 1  # of C(n, 0); whole numbers, so that thousands of photos stay exact
    for k in range(min(won, lost)):
        ways = ways * (n - k) // (k + 1)
        tail += ways
    return min(1.0, 2 * tail / (1 << n))


def kl_divergence(a: Floats, b: Floats) -> NDArray[np.float64]:
    """Return KL(softmax(a) || softmax(b)) of each photo `[n]`, in nats."""
    log_a, log_b = log_softmax(a), log_softmax(b)
    result: NDArray[np.float64] = (np.exp(log_a) * (log_a - log_b)).sum(axis=1)
    return np.maximum(result, 0.0)


@dataclass(frozen=True)
class Agreement:
    """How a second model (b, the converted file) differs from a first (a, the float model).

    Attributes:
        n: photos compared.
        rate: share with the same first answer.
        won: photos where b is right and a is wrong; lost: the other way round.
        n_known: photos of taught classes, the ones that can be won or lost.
        top1_change: (won - lost) / n_known, and its interval over sources.
        mcnemar_p: two-sided exact p-value of won against lost.
        kl_mean: mean KL(a || b) in nats.
        worst: indices of the photos with another first answer, highest KL first.
    """

    n: int
    n_known: int
    rate: float
    won: int
    lost: int
    top1_change: float
    top1_change_interval: Interval
    mcnemar_p: float
    kl_mean: float
    worst: tuple[int, ...]


def agreement(
    a: Floats, b: Floats, labels: Ints, sources: Sequence[str], limit: int = 24
) -> Agreement:
    """Compare logits `[n, c]` of two models on the same photos in the same order.

    Photos of unknown objects (label -1) count for the rate and the KL, never as won or lost.
    `limit` bounds `worst`. Raises ValueError for other shapes or no photo of a taught class.
    """
    known = np.flatnonzero(labels >= 0)
    if a.shape != b.shape or len(known) == 0:
        raise ValueError(
            f"Expected equal logits of at least one known photo. Received {a.shape}, {b.shape}. "
            "Predict the same photos with both models."
        )
    first, second = a.argmax(axis=1), b.argmax(axis=1)
    hits_a, hits_b = first == labels, second == labels
    change = (hits_b.astype(np.float64) - hits_a)[known]
    kl = kl_divergence(a, b)
    differing = np.flatnonzero(first != second)
    worst = differing[np.argsort(-kl[differing], kind="stable")][:limit]
    won, lost = int((change > 0).sum()), int((change < 0).sum())
    return Agreement(
        n=len(a),
        n_known=len(known),
        rate=float(np.mean(first == second)),
        won=won,
        lost=lost,
        top1_change=float(change.mean()),
        top1_change_interval=mean_interval(change, [sources[index] for index in known.tolist()]),
        mcnemar_p=mcnemar_exact(won, lost),
        kl_mean=float(kl.mean()),
        worst=tuple(int(index) for index in worst),
    )
