"""Splits photos by source, so that no shop visit, burst or scene is on both sides.

Every function sorts the photos by path first: the same photos give the same split whatever the
order they come in. Nothing is random but the seeded shuffle of the sources.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from promolens_runtime.errors import InputError
from promolens_training.data.photos import Photo
from promolens_training.data.reading import path_order

Indexes = NDArray[np.intp]

# A held-out part may take at most this share of a class only to have the class in it at all.
_MAX_CLASS_SHARE = 0.4


@dataclass(frozen=True, eq=False)
class _Source:
    indexes: tuple[int, ...]
    labels: Counter[str]


def _sources(photos: Sequence[Photo], seed: int) -> list[_Source]:
    """Return the sources in an order that depends on their photos and the seed only."""
    groups: dict[str, list[int]] = defaultdict(list)
    for index in sorted(range(len(photos)), key=lambda i: path_order(photos[i])):
        photo = photos[index]
        # A photo without a source stands for itself.
        groups[photo.source_id or f"\0{photo.path}"].append(index)
    sources = [
        _Source(tuple(indexes), Counter(photos[i].label for i in indexes))
        for indexes in groups.values()
    ]
    # The shuffle is the seed's; not for secrets.
    random.Random(seed).shuffle(sources)  # noqa: S311
    return sources


def _pair(n_photos: int, held: Sequence[_Source]) -> tuple[Indexes, Indexes]:
    is_held = np.zeros(n_photos, bool)
    for source in held:
        is_held[list(source.indexes)] = True
    return np.flatnonzero(~is_held), np.flatnonzero(is_held)


def _error_change(taken: Counter[str], source: _Source, wanted: dict[str, float]) -> float:
    """Return how the squared distance to the wanted class counts changes, each class alike."""
    return sum(
        ((taken[label] + n - wanted[label]) ** 2 - (taken[label] - wanted[label]) ** 2)
        / max(wanted[label], 1e-9) ** 2
        for label, n in source.labels.items()
    )


def _leaves_every_class(taken: Counter[str], source: _Source, totals: Counter[str]) -> bool:
    return all(taken[label] + n < totals[label] for label, n in source.labels.items())


def split_holdout(
    photos: Sequence[Photo], fraction: float, seed: int = 0
) -> tuple[Indexes, Indexes]:
    """Hold out about `fraction` of every class, whole sources only.

    A class with one source only stays in training; a class whose smallest source is more than 40 %
    of it may be absent from the held-out part.

    Args:
        photos: with `source_id`s (see `assign_sources`).
        fraction: between 0 and 1, both excluded.
        seed: picks among the equally good splits.

    Returns:
        Indexes into `photos`, ascending: (kept for training, held out).

    Raises:
        InputError: no photo can be held out, or the fraction is out of range.
    """
    if not 0.0 < fraction < 1.0:
        raise InputError(f"Expected a fraction between 0 and 1. Received {fraction}. Try 0.15.")
    totals = Counter(photo.label for photo in photos)
    wanted = {label: fraction * n for label, n in totals.items()}
    sources = _sources(photos, seed)
    taken: Counter[str] = Counter()
    held: list[_Source] = []
    for source in sources:
        if _error_change(taken, source, wanted) < 0 and _leaves_every_class(taken, source, totals):
            held.append(source)
            taken.update(source.labels)
    chosen = set(held)
    for source in sorted(set(sources) - chosen, key=lambda item: (len(item.indexes), item.indexes)):
        is_missing = any(not taken[label] for label in source.labels)
        is_small = all(
            taken[label] + n <= _MAX_CLASS_SHARE * totals[label]
            for label, n in source.labels.items()
        )
        if is_missing and is_small:
            held.append(source)
            taken.update(source.labels)
    if not held:
        raise InputError(
            f"Expected sources small enough to hold out {fraction:.0%}. Received "
            f"{len(sources)} sources of {len(totals)} classes. Add photos from more visits."
        )
    return _pair(len(photos), held)


class _Folds:
    """Greedy stratified placement: the largest sources first, each where its classes lack most."""

    def __init__(self, sources: Sequence[_Source], totals: Counter[str], folds: int) -> None:
        self.members: list[list[_Source]] = [[] for _ in range(folds)]
        self.never_tested: list[_Source] = []
        self._counts: list[Counter[str]] = [Counter() for _ in range(folds)]
        self._wanted = {label: n / folds for label, n in totals.items()}
        self._totals = totals
        n_sources = Counter(label for source in sources for label in source.labels)
        # A class with a single source must train in every fold: that source is never tested.
        pinned = [source for source in sources if any(n_sources[x] == 1 for x in source.labels)]
        self._always_trained = {label for source in pinned for label in source.labels}
        self.never_tested.extend(pinned)
        pinned_ids = {id(source) for source in pinned}
        for source in sorted(sources, key=lambda item: -len(item.indexes)):
            if id(source) not in pinned_ids:
                self._place(source)

    def _may_take(self, fold: int, source: _Source) -> bool:
        """Return False where the fold would then hold all photos of a class."""
        return all(
            label in self._always_trained or self._counts[fold][label] + n < self._totals[label]
            for label, n in source.labels.items()
        )

    def _place(self, source: _Source) -> None:
        allowed = [fold for fold in range(len(self.members)) if self._may_take(fold, source)]
        if not allowed:
            self.never_tested.append(source)
            self._always_trained.update(source.labels)
            return
        best = min(
            allowed,
            key=lambda fold: (
                round(_error_change(self._counts[fold], source, self._wanted), 9),
                sum(self._counts[fold].values()),
                fold,
            ),
        )
        self.members[best].append(source)
        self._counts[best].update(source.labels)


def grouped_kfold(
    photos: Sequence[Photo], folds: int, seed: int = 0
) -> list[tuple[Indexes, Indexes]]:
    """Cut the photos into folds by source, classes spread as evenly as the sources allow.

    Every photo is tested at most once. A source that holds all photos of a class is never tested,
    so that each class is in the training side of every fold.

    Args:
        photos: with `source_id`s (see `assign_sources`).
        folds: at least 2.
        seed: picks among the equally good splits.

    Returns:
        For each fold, indexes into `photos`, ascending: (training, test).

    Raises:
        InputError: fewer than two folds, or fewer sources than folds.
    """
    if folds < 2:
        raise InputError(f"Expected at least 2 folds. Received {folds}. Try 3.")
    placed = _Folds(_sources(photos, seed), Counter(photo.label for photo in photos), folds)
    if not all(placed.members):
        n_sources = sum(map(len, placed.members)) + len(placed.never_tested)
        raise InputError(
            f"Expected sources for {folds} folds. Received {n_sources}, of which "
            f"{len(placed.never_tested)} hold all photos of a class. Use fewer folds or add photos."
        )
    return [_pair(len(photos), members) for members in placed.members]
