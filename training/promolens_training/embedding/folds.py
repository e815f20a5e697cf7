"""Which classes and photos an embedder may see, and which it is judged on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from promolens_runtime.errors import InputError
from promolens_training.data import grouped_kfold
from promolens_training.embedding.pictures import ProductPictures

Indexes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """One division of classes and photos.

    Attributes:
        name: "fold3", or "fold3-inner" for the one that choices are made on.
        train_classes: labels trained on, auxiliary ones included.
        judged_classes: labels never trained on, whose photos are asked about.
        gallery_classes: labels whose catalogue pictures are the possible answers.
        train_photos: photos of `train_classes` that are trained on.
        unseen_photos: all photos of `judged_classes`.
        seen_photos: photos of target classes trained on, from sources that were not.
    """

    name: str
    train_classes: Indexes
    judged_classes: Indexes
    gallery_classes: Indexes
    train_photos: Indexes
    unseen_photos: Indexes
    seen_photos: Indexes


def class_folds(targets: Indexes, count: int, seed: int) -> list[Indexes]:
    """Deal labels into `count` folds of nearly equal size, each sorted.

    Raises:
        InputError: fewer than 2 folds, or fewer classes than twice the folds.
    """
    if count < 2 or len(targets) < 2 * count:
        raise InputError(
            f"Expected at least 2 folds and 2 classes a fold. Received {count} folds of "
            f"{len(targets)} classes. Use fewer folds or more classes."
        )
    order = np.random.default_rng(seed).permutation(targets)
    return [np.sort(part) for part in np.array_split(order, count)]


def _split(
    data: ProductPictures, name: str, judged: Indexes, hidden: Indexes, photo_fold: Indexes
) -> Split:
    """Hide `judged` and `hidden` from training; of the rest, hold `photo_fold` back as seen."""
    every = np.arange(len(data.classes))
    targets = np.flatnonzero(data.is_target)
    trained = np.setdiff1d(every, np.concatenate([judged, hidden]))
    held = np.zeros(len(data.labels), bool)
    held[photo_fold] = True
    in_training = np.isin(data.labels, trained)
    seen = in_training & held & data.is_target[data.labels]
    return Split(
        name=name,
        train_classes=trained,
        judged_classes=judged,
        gallery_classes=np.setdiff1d(targets, hidden),
        train_photos=np.flatnonzero(in_training & ~held),
        unseen_photos=np.flatnonzero(np.isin(data.labels, judged)),
        seen_photos=np.flatnonzero(seen),
    )


def plan_splits(data: ProductPictures, folds: int = 5, seed: int = 1) -> list[tuple[Split, Split]]:
    """Return (outer, inner) of each fold: every target class is judged unseen once.

    The inner split judges another fold's classes, without those of the outer fold anywhere: not
    in training and not in the gallery. Choices are made there.
    """
    classes = class_folds(np.flatnonzero(data.is_target), folds, seed)
    photo_folds = [held for _, held in grouped_kfold(data.photos, folds, seed)]
    nothing = np.zeros(0, np.int64)
    plans = []
    for number, judged in enumerate(classes):
        inner = classes[(number + 1) % folds]
        held = photo_folds[number].astype(np.int64)
        outer = _split(data, f"fold{number}", judged, nothing, held)
        plans.append((outer, _split(data, f"fold{number}-inner", inner, judged, held)))
    return plans


def whole_split(data: ProductPictures) -> Split:
    """Return the split that trains on everything and judges nothing."""
    nothing = np.zeros(0, np.int64)
    return _split(data, "all", nothing, nothing, nothing)
