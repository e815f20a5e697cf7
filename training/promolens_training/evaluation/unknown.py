"""Saying "not known": a score, a threshold, and how often each kind of photo passes it.

Higher scores mean "more like what I was taught". Two are compared: the highest logit (Hendrycks et
al. 2019, arXiv 1911.11132) and the energy (Liu et al. 2020, arXiv 2010.03759). Both read the raw
logits, as every client of a bundle does: the calibration temperature plays no part.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from promolens_runtime.intervals import Interval, rate_interval
from promolens_training.data.photos import ProductClass
from promolens_training.evaluation.arrays import Floats
from promolens_training.evaluation.calibration import source_folds

MAX_LOGIT = "max_logit"
ENERGY = "energy"
TRUE_ACCEPT_RATE = 0.95


def max_logit(logits: Floats) -> NDArray[np.float64]:
    """Return the highest logit of each photo `[n]`."""
    result: NDArray[np.float64] = np.asarray(logits, np.float64).max(axis=1)
    return result


def energy(logits: Floats, temperature: float = 1.0) -> NDArray[np.float64]:
    """Return the negative free energy T ln sum exp(logit / T) of each photo `[n]`.

    Liu et al. recommend T = 1, and a bundle's "energy" is that.
    """
    scaled = np.asarray(logits, np.float64) / temperature
    top = scaled.max(axis=1)
    result: NDArray[np.float64] = temperature * (
        top + np.log(np.exp(scaled - top[:, None]).sum(axis=1))
    )
    return result


SCORES: dict[str, Callable[[Floats], NDArray[np.float64]]] = {
    MAX_LOGIT: max_logit,
    ENERGY: energy,
}


def choose_threshold(known: Floats, true_accept_rate: float = TRUE_ACCEPT_RATE) -> float:
    """Return the highest threshold that still accepts the stated share of known photos.

    A photo is accepted when its score is at least the threshold, so the answer is one of the
    scores. `known` holds float `[n]` scores of photos of known products.
    """
    if len(known) == 0 or not 0 < true_accept_rate <= 1:
        raise ValueError(
            f"Expected scores of known photos and a rate in (0, 1]. Received {len(known)} scores "
            f"and rate {true_accept_rate}. Evaluate photos of known products first."
        )
    # 0.95 * 20 must count as 19 however it is rounded.
    accept = math.ceil(true_accept_rate * len(known) - 1e-9)
    return float(np.sort(np.asarray(known, np.float64))[::-1][accept - 1])


def auroc(known: Floats, unknown: Floats) -> float:
    """Return the chance that a known photo scores above an unknown one; ties count half."""
    if len(known) == 0 or len(unknown) == 0:
        raise ValueError("Expected known and unknown scores. Received an empty side.")
    order = np.sort(np.asarray(known, np.float64))
    values = np.asarray(unknown, np.float64)
    above = len(order) - np.searchsorted(order, values, side="right")
    level = np.searchsorted(order, values, side="right") - np.searchsorted(order, values, "left")
    return float((above + level / 2).sum() / (len(order) * len(values)))


@dataclass(frozen=True)
class UnknownResult:
    """One score's power to tell known from unknown, at one threshold.

    Attributes:
        score: "max_logit" or "energy".
        accept_at_least: the threshold; unknown photos have no part in choosing it.
        true_accept_rate: the share of known photos that was asked for when choosing it.
        accepted_known: the share of known photos accepted by thresholds chosen on other photos,
            None where there is only one source.
        false_accept_rate: share of unknown photos accepted all the same, and its interval.
        auroc: threshold-free; 0.5 is guessing, 1 is perfect.
        known_scores, unknown_scores: float `[n]`, for the picture.
    """

    score: str
    accept_at_least: float
    true_accept_rate: float
    accepted_known: float | None
    false_accept_rate: float
    false_accept_interval: Interval
    auroc: float
    n_known: int
    n_unknown: int
    known_scores: NDArray[np.float64]
    unknown_scores: NDArray[np.float64]


def cross_fitted_accept_rate(
    scores: Floats, sources: Sequence[str], true_accept_rate: float
) -> float | None:
    """Return the share of photos accepted by thresholds chosen on other sources' photos."""
    fold = source_folds(sources)
    if len(np.unique(fold)) < 2:
        return None
    accepted = np.zeros(len(scores), bool)
    for each in np.unique(fold):
        inside = fold == each
        accepted[inside] = scores[inside] >= choose_threshold(scores[~inside], true_accept_rate)
    return float(accepted.mean())


def measure_rule(
    score: str,
    accept_at_least: float,
    known: Floats,
    unknown: Floats,
    unknown_sources: Sequence[str],
    true_accept_rate: float = TRUE_ACCEPT_RATE,
) -> UnknownResult:
    """Measure a rule whose threshold was chosen elsewhere, on logits `[n, c]` and `[m, c]`."""
    known_scores, unknown_scores = SCORES[score](known), SCORES[score](unknown)
    accepted = unknown_scores >= accept_at_least
    return UnknownResult(
        score=score,
        accept_at_least=accept_at_least,
        true_accept_rate=true_accept_rate,
        accepted_known=float((known_scores >= accept_at_least).mean()),
        false_accept_rate=float(accepted.mean()),
        false_accept_interval=rate_interval(accepted, unknown_sources),
        auroc=auroc(known_scores, unknown_scores),
        n_known=len(known),
        n_unknown=len(unknown),
        known_scores=known_scores,
        unknown_scores=unknown_scores,
    )


def measure_score(
    score: str,
    known: Floats,
    unknown: Floats,
    known_sources: Sequence[str],
    unknown_sources: Sequence[str],
    true_accept_rate: float = TRUE_ACCEPT_RATE,
) -> UnknownResult:
    """Choose a threshold on the known photos and measure it; see `UnknownResult`."""
    known_scores = SCORES[score](known)
    threshold = choose_threshold(known_scores, true_accept_rate)
    result = measure_rule(score, threshold, known, unknown, unknown_sources, true_accept_rate)
    accepted = cross_fitted_accept_rate(known_scores, known_sources, true_accept_rate)
    return replace(result, accepted_known=accepted)


def compare_scores(
    known: Floats,
    unknown: Floats,
    known_sources: Sequence[str],
    unknown_sources: Sequence[str],
    true_accept_rate: float = TRUE_ACCEPT_RATE,
) -> tuple[UnknownResult, ...]:
    """Measure both scores, the better first: fewer false accepts, then AUROC, then simplicity."""
    results = [
        measure_score(score, known, unknown, known_sources, unknown_sources, true_accept_rate)
        for score in (MAX_LOGIT, ENERGY)
    ]
    return tuple(sorted(results, key=lambda result: (result.false_accept_rate, -result.auroc)))


def held_out_labels(
    classes: Sequence[ProductClass], share: float = 0.2, seed: int = 0
) -> tuple[str, ...]:
    """Choose classes to leave out of training, so that their photos are true unknowns.

    Takes about `share` of the classes (at least one, and at least two stay), spread over the
    parents: most have a sibling that stays, which is the hard and the usual case on a shelf.
    The same seed gives the same choice.
    """
    if len(classes) < 3 or not 0 < share < 1:
        raise ValueError(
            f"Expected at least 3 classes and a share in (0, 1). Received {len(classes)} classes, "
            f"share {share}. Hold classes out of a larger set."
        )
    count = min(max(1, round(share * len(classes))), len(classes) - 2)
    rng = np.random.default_rng(seed)
    families: dict[str, list[str]] = {}
    for index in rng.permutation(len(classes)):
        one = classes[index]
        families.setdefault(one.parent or one.name, []).append(one.name)
    # Largest families first, one class of each in turn.
    turns = sorted(families.values(), key=lambda names: -len(names))
    rounds = range(max(len(names) for names in turns))
    order = [names[turn] for turn in rounds for names in turns if turn < len(names)]
    return tuple(sorted(order[:count]))
