"""Sets when a gallery's best product counts, from labelled photos of its products.

Each photo speaks twice: with its own product in the gallery it is a known one, and with its own
product left out it is an unknown look-alike, the hardest stranger that there is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from promolens_runtime.errors import InputError
from promolens_runtime.gallery.manifest import AnswerRule

TRUE_ACCEPT_RATE = 0.95
# What the classifier's right answers may lose to the gallery.
MAX_OVERRIDDEN = 0.005
MIN_PHOTOS = 20
MARGINS = (0.0, 0.01, 0.02, 0.03, 0.05, 0.08, 0.12)
# Chosen for nothing but caution; a gallery that was built without photos says n_known = 0.
UNFITTED = AnswerRule(0.7, 0.05, 0.1, None, None, 0, 0)

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Asked:
    """What photos found; all arrays are `[n]`, cosines in -1..1.

    Attributes:
        cosine, lead: of the best product, and over the second one.
        right: whether the best product is the one on the photo.
        stranger_cosine, stranger_lead: the same with the photo's own product left out.
        own: cosine of the photo's own product.
        sources: photos of one source belong together; "" stands alone.
    """

    cosine: Floats
    lead: Floats
    right: NDArray[np.bool_]
    stranger_cosine: Floats
    stranger_lead: Floats
    own: Floats
    sources: tuple[str, ...]

    def take(self, chosen: NDArray[np.bool_]) -> Asked:
        """Return the photos where `chosen` is true."""
        return Asked(
            self.cosine[chosen],
            self.lead[chosen],
            self.right[chosen],
            self.stranger_cosine[chosen],
            self.stranger_lead[chosen],
            self.own[chosen],
            tuple(one for one, flag in zip(self.sources, chosen, strict=True) if flag),
        )


def ask(scores: NDArray[np.floating], own: NDArray[np.integer], sources: Sequence[str]) -> Asked:
    """Return what photos found.

    Args:
        scores: `[n, p]`, each photo's best cosine with each of p products.
        own: `[n]`, each photo's product, 0..p-1.

    Raises:
        InputError: fewer than three products: without its own a photo needs a best and a second.
    """
    cosines = np.asarray(scores, np.float64)
    if cosines.shape[1] < 3:
        raise InputError(
            f"Expected a gallery of at least 3 products to set its rule by. Received "
            f"{cosines.shape[1]}. Leave --photos out."
        )
    numbers = np.arange(len(cosines))
    without = cosines.copy()
    without[numbers, own] = -np.inf
    best, second = _two_best(cosines)
    stranger, next_stranger = _two_best(without)
    return Asked(
        cosine=best,
        lead=best - second,
        right=cosines.argmax(axis=1) == own,
        stranger_cosine=stranger,
        stranger_lead=stranger - next_stranger,
        own=cosines[numbers, own],
        sources=tuple(sources),
    )


def fit_rule(asked: Asked, classifier_right: NDArray[np.bool_] | None = None) -> AnswerRule:
    """Return the rule that accepts 95 % of the known photos and the fewest strangers.

    Its rates are cross-fitted: set on one half of the sources and measured on the other, both ways.

    Args:
        classifier_right: bool `[n]`, where the classifier's accepted answer is right; decides how
            clear a lead must be to overrule it. None without a classifier.

    Raises:
        InputError: fewer than 20 photos.
    """
    n = len(asked.cosine)
    if n < MIN_PHOTOS:
        raise InputError(
            f"Expected at least {MIN_PHOTOS} photos to set the gallery's rule by. Received {n}. "
            "Give more, or leave --photos out."
        )
    accept, margin = _thresholds(asked)
    known, strangers = _cross_fitted(asked)
    return AnswerRule(
        accept_at_least=accept,
        margin_at_least=margin,
        override_margin=_override(asked, classifier_right),
        true_accept_rate=known,
        false_accept_rate=strangers,
        n_known=n,
        n_unknown=n,
    )


def _thresholds(asked: Asked) -> tuple[float, float]:
    found = []
    for margin in MARGINS:
        clear = asked.lead >= margin
        needed = int(np.ceil(TRUE_ACCEPT_RATE * len(clear)))
        if clear.sum() < needed:
            continue
        accept = float(np.sort(asked.cosine[clear])[::-1][needed - 1])
        strangers = (asked.stranger_cosine >= accept) & (asked.stranger_lead >= margin)
        found.append((float(strangers.mean()), margin, accept))
    _, margin, accept = min(found)  # margin 0 is always clear
    return accept, margin


def _cross_fitted(asked: Asked) -> tuple[float, float]:
    names = [source or f"\0{number}" for number, source in enumerate(asked.sources)]
    order = {name: number for number, name in enumerate(sorted(set(names)))}
    half = np.array([order[name] % 2 == 0 for name in names])
    if half.all() or not half.any():
        half = np.arange(len(names)) % 2 == 0
    known, strangers = np.zeros(len(half), bool), np.zeros(len(half), bool)
    for side in (half, ~half):
        accept, margin = _thresholds(asked.take(side))
        known |= ~side & (asked.cosine >= accept) & (asked.lead >= margin)
        strangers |= ~side & (asked.stranger_cosine >= accept) & (asked.stranger_lead >= margin)
    return float(known.mean()), float(strangers.mean())


def _override(asked: Asked, classifier_right: NDArray[np.bool_] | None) -> float:
    if classifier_right is None or not classifier_right.any():
        return UNFITTED.override_margin
    lost_by = (asked.cosine - asked.own)[classifier_right]
    # The gallery wins from the margin on, so the margin lies just above what may not be lost.
    edge = float(np.quantile(lost_by, 1 - MAX_OVERRIDDEN, method="higher"))
    return min(2.0, max(0.0, edge) + 1e-6)


def _two_best(scores: Floats) -> tuple[Floats, Floats]:
    falling = -np.partition(-scores, 1, axis=1)
    return falling[:, 0], falling[:, 1]
