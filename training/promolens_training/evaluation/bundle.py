"""Measures a bundle as phones see it: its own file, preprocessing, temperature and threshold."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from promolens_runtime.errors import InputError
from promolens_runtime.manifest import Manifest
from promolens_runtime.recognizer import Recognizer
from promolens_training.data.photos import Photo, PhotoSet, ProductClass
from promolens_training.data.reading import PICTURE_SUFFIXES
from promolens_training.evaluation.evaluate import Evaluation, evaluate
from promolens_training.evaluation.matching import (
    classes_of,
    match_labels,
    relabelled,
    require_matched,
)
from promolens_training.evaluation.predictions import Done, Predictions, predict_recognizer
from promolens_training.evaluation.unknown import SCORES, UnknownResult, measure_rule

ALL = "all"
# Given a number of photos, shows their progress.
ShowProgress = Callable[[int], AbstractContextManager[Done]]


@dataclass(frozen=True)
class BundleEvaluation:
    """A bundle's figures on labelled photos.

    Attributes:
        split: the split used, or "all".
        notes: what the loader said of the dataset.
        photos: the evaluated photos under the bundle's labels, in the order of `predictions`;
            an empty label is an unknown object.
        accepted_rate: share of known photos that the manifest's rule accepts.
        top1_of_accepted: share of right answers among those, None where none is accepted.
        unknown: the manifest's rule on the unknown objects, None without any.
        overlap: how many of the photos are, by content, calibration images of the manifest: these
            were trained on, and so probably were others.
    """

    manifest: Manifest
    classes: tuple[ProductClass, ...]
    split: str
    notes: tuple[str, ...]
    photos: tuple[Photo, ...]
    predictions: Predictions
    evaluation: Evaluation
    accepted_rate: float
    top1_of_accepted: float | None
    unknown: UnknownResult | None
    overlap: int

    @property
    def overlap_note(self) -> str:
        """One sentence about photos that were trained on, empty where none is known to be."""
        if not self.overlap:
            return ""
        return (
            f"{self.overlap} of the {len(self.photos)} photos are among the bundle's calibration "
            "images, a sample of the photos it was trained on: these figures are too good."
        )

    def to_json(self) -> dict[str, Any]:
        """Return every figure ready for JSON."""
        return {
            **self.evaluation.to_json(),
            "split": self.split,
            "score": self.manifest.unknown.score,
            "accept_at_least": self.manifest.unknown.accept_at_least,
            "accepted_rate": self.accepted_rate,
            "top1_of_accepted": self.top1_of_accepted,
            "unknown": _unknown_json(self.unknown),
            "overlap_with_calibration": self.overlap,
            "bundle_id": self.manifest.bundle_id,
            "bundle_version": self.manifest.version,
        }


def _unknown_json(result: UnknownResult | None) -> dict[str, Any] | None:
    if result is None:
        return None
    return {
        "n": result.n_unknown,
        "accepted_rate": result.false_accept_rate,
        "accepted_interval": list(result.false_accept_interval.bounds),
        "auroc": result.auroc,
    }


def choose_split(photo_set: PhotoSet, split: str | None) -> tuple[str, tuple[Photo, ...]]:
    """Return the name and the photos of a split; None is "test", or all where none is named.

    Raises:
        InputError: the split has no photo.
    """
    named = sorted({photo.split for photo in photo_set.photos if photo.split})
    if split is None:
        split = "test" if named else ALL
    photos = photo_set.photos if split == ALL else photo_set.in_split(split)
    if not photos:
        raise InputError(
            f'Expected photos of the split "{split}" in {photo_set.root}. Received splits: '
            f"{', '.join(named) or 'none'}. Choose one with --split, or --split all."
        )
    return split, photos


def unknown_photos(folder: Path) -> tuple[Photo, ...]:
    """Return every picture below a folder as a photo of an unknown object, sorted by path.

    Raises:
        InputError: there is none.
    """
    found = sorted(
        path
        for path in (folder.rglob("*") if folder.is_dir() else ())
        if path.suffix.lower() in PICTURE_SUFFIXES and path.is_file()
    )
    if not found:
        raise InputError(
            f"Expected a folder with pictures of unknown objects. Received {folder}, which "
            f"{'holds none' if folder.is_dir() else 'is no folder'}. Choose another."
        )
    return tuple(Photo(path, "") for path in found)


def unknown_background(background: Sequence[Photo], split: str) -> tuple[Photo, ...]:
    """Return the background photos of a split (or "all") as photos of unknown objects.

    Each thing is a source of its own: its photos fail or pass together.
    """
    return tuple(
        replace(photo, label="", source_id=photo.label)
        for photo in background
        if split in (ALL, photo.split)
    )


def overlap_with_calibration(photos: Sequence[Photo], manifest: Manifest) -> int:
    """Count the photos whose file is, byte for byte, a calibration image of the manifest.

    Training photos are not listed there; calibration images are a sample of them.
    """
    listed = {image.sha256 for image in manifest.calibration_images}
    paths = {photo.path for photo in photos}
    used = {path for path in paths if hashlib.sha256(path.read_bytes()).hexdigest() in listed}
    return sum(photo.path in used for photo in photos)


def _known_photos(
    photo_set: PhotoSet,
    chosen: tuple[Photo, ...],
    classes: tuple[ProductClass, ...],
    allow_flag: str | None,
) -> tuple[Photo, ...]:
    used = {photo.label for photo in chosen}
    matching = match_labels([one for one in photo_set.classes if one.name in used], classes)
    if allow_flag is not None:
        require_matched(matching, allow_flag)
    return relabelled(chosen, matching)


def evaluate_bundle(
    recognizer: Recognizer,
    photo_set: PhotoSet,
    show_progress: ShowProgress,
    *,
    split: str | None = None,
    unknown_folder: Path | None = None,
    unmatched_flag: str | None = None,
) -> BundleEvaluation:
    """Evaluate an opened bundle on a dataset.

    Args:
        split: see `choose_split`.
        unknown_folder: pictures of things that the bundle was never taught, beside the dataset's
            own background photos of the split.
        unmatched_flag: the option named in the error about labels that the bundle does not know;
            None counts their photos as unknown objects instead.

    Raises:
        InputError: no photo, or labels that the bundle does not know.
        ImageError: a photo cannot be decoded.
    """
    manifest, classes = recognizer.manifest, classes_of(recognizer.labels)
    split, chosen = choose_split(photo_set, split)
    strangers = unknown_background(photo_set.background, split)
    if unknown_folder is not None:
        strangers += unknown_photos(unknown_folder)
    photos = (*_known_photos(photo_set, chosen, classes, unmatched_flag), *strangers)
    with show_progress(len(photos)) as done:
        predictions = predict_recognizer(recognizer, photos, classes, done)
    evaluation = evaluate(predictions, classes, manifest.temperature)
    known = predictions.known()
    accepted = SCORES[manifest.unknown.score](known.logits) >= manifest.unknown.accept_at_least
    right = known.logits.argmax(axis=1) == known.labels
    return BundleEvaluation(
        manifest=manifest,
        classes=classes,
        split=split,
        notes=photo_set.notes,
        photos=photos,
        predictions=predictions,
        evaluation=evaluation,
        accepted_rate=float(accepted.mean()),
        top1_of_accepted=float(right[accepted].mean()) if accepted.any() else None,
        unknown=_unknown_result(manifest, known, predictions.unknown()),
        overlap=overlap_with_calibration(photos, manifest),
    )


def _unknown_result(
    manifest: Manifest, known: Predictions, unknown: Predictions
) -> UnknownResult | None:
    if not len(unknown):
        return None
    rule = manifest.unknown
    return measure_rule(
        rule.score,
        rule.accept_at_least,
        known.logits,
        unknown.logits,
        unknown.sources,
        rule.true_accept_rate,
    )
