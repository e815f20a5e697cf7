"""Temperature scaling: one number that makes the confidences mean what they say.

Guo et al. 2017 (arXiv 1706.04599), section 4.2: divide all logits by T, chosen to minimise the
negative log likelihood. It never changes which class is first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from promolens_runtime.intervals import group_indices
from promolens_training.evaluation.arrays import Floats, Ints
from promolens_training.evaluation.metrics import (
    ReliabilityBin,
    expected_calibration_error,
    negative_log_likelihood,
    reliability,
)

# A model without a mistake wants T = 0, one that knows nothing T = infinity: neither is of use.
LOWEST, HIGHEST = 0.05, 20.0
FOLDS = 5


def fit_temperature(logits: Floats, labels: Ints) -> float:
    """Return the temperature in 0.05..20 with the least negative log likelihood.

    The likelihood is convex in 1/T, so the one minimum is found by bounded line search.
    """
    from scipy.optimize import minimize_scalar

    if len(logits) == 0:
        raise ValueError("Expected at least one photo to fit a temperature. Received none.")

    def loss(inverse: float) -> float:
        return negative_log_likelihood(logits, labels, 1.0 / inverse)

    found = minimize_scalar(
        loss, bounds=(1 / HIGHEST, 1 / LOWEST), method="bounded", options={"xatol": 1e-7}
    )
    return float(1.0 / found.x)


def shipped_temperature(logits: Floats, labels: Ints) -> float:
    """Return the temperature for people: `fit_temperature`, unless no photo was answered wrongly.

    Without a mistake the likelihood only says "colder", and every guess would read 100 %. Then the
    mean confidence is what so many right answers can show: (n + 1) / (n + 2), the rule of
    succession (Laplace 1774).
    """
    from scipy.optimize import root_scalar
    from scipy.special import softmax

    fitted = fit_temperature(logits, labels)
    if (logits.argmax(axis=1) != labels).any():
        return fitted
    shown = (len(labels) + 1) / (len(labels) + 2)

    def too_sure(temperature: float) -> float:
        return float(softmax(logits / temperature, axis=1).max(axis=1).mean()) - shown

    if too_sure(fitted) <= 0 or too_sure(HIGHEST) >= 0:
        return fitted
    return float(root_scalar(too_sure, bracket=(fitted, HIGHEST), method="brentq").root)


def source_folds(sources: Sequence[str], folds: int = FOLDS) -> NDArray[np.int64]:
    """Deal sources into at most `folds` folds `[n]`; the same source is always in one fold.

    The order is that of the names' hashes: random enough, the same on every machine, and
    independent of the order of the photos (those with no source are dealt by their place).
    """
    groups = group_indices(sources)
    names = {int(group): sources[index] or f"#{index}" for index, group in enumerate(groups)}
    digests = {group: hashlib.sha256(name.encode()).digest() for group, name in names.items()}
    place = {group: number for number, group in enumerate(sorted(digests, key=digests.__getitem__))}
    return np.array([place[int(group)] % folds for group in groups], np.int64)


@dataclass(frozen=True)
class Calibration:
    """A temperature, and what it does to photos that it was not fitted on.

    Attributes:
        temperature: fitted on all photos; the one to ship.
        ece_before, nll_before: with T = 1.
        ece_after, nll_after: every photo scaled by a temperature fitted on other sources.
        before, after: the reliability bins behind the two errors.
        folds: number of folds used.
    """

    temperature: float
    ece_before: float
    ece_after: float
    nll_before: float
    nll_after: float
    before: tuple[ReliabilityBin, ...]
    after: tuple[ReliabilityBin, ...]
    folds: int


def calibrate(
    logits: Floats, labels: Ints, sources: Sequence[str], folds: int = FOLDS
) -> Calibration | None:
    """Fit a temperature and measure it by cross-fitting grouped by source.

    Returns None where all photos come from one source: then nothing is left to measure on.
    """
    fold = source_folds(sources, folds)
    used = np.unique(fold)
    if len(used) < 2:
        return None
    scaled = np.asarray(logits, np.float64).copy()
    for each in used:
        inside = fold == each
        scaled[inside] /= fit_temperature(logits[~inside], labels[~inside])
    before, after = reliability(logits, labels), reliability(scaled, labels)
    return Calibration(
        temperature=fit_temperature(logits, labels),
        ece_before=expected_calibration_error(before),
        ece_after=expected_calibration_error(after),
        nll_before=negative_log_likelihood(logits, labels),
        nll_after=negative_log_likelihood(scaled, labels),
        before=before,
        after=after,
        folds=len(used),
    )
