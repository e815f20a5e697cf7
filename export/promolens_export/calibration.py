"""Which photos set the int8 ranges: representative, balanced, and never the ones we judge by."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from promolens_runtime.errors import InputError
from promolens_runtime.manifest import CalibrationImage
from promolens_training.data.photos import Photo

DEFAULT_IMAGES = 200


def relative_name(path: Path, root: Path) -> str:
    """Return `path` below `root` with forward slashes; the bare file name where it lies outside."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name


def _draw(photo: Photo, root: Path, seed: int) -> bytes:
    # A hash, not a random generator: adding photos to the set does not reshuffle the rest.
    key = f"{seed}\t{relative_name(photo.path, root)}\t{photo.box}"
    return hashlib.sha256(key.encode()).digest()


def choose_calibration(
    photos: Sequence[Photo], root: Path, count: int = DEFAULT_IMAGES, seed: int = 0
) -> tuple[Photo, ...]:
    """Choose photos that were fitted on, the classes in turn, deterministic by `seed`.

    Args:
        photos: photos of a run; only the splits "train" and "val" are considered.
        root: folder that names are relative to (so that moving the data changes nothing).
        count: how many at most; fewer where there are fewer.

    Raises:
        InputError: no such photo, or `count` below 1.
    """
    by_class: dict[str, list[Photo]] = {}
    for photo in sorted(photos, key=lambda photo: _draw(photo, root, seed)):
        if photo.split in ("train", "val"):
            by_class.setdefault(photo.label, []).append(photo)
    if not by_class or count < 1:
        raise InputError(
            f"Expected at least one training photo to calibrate on. Received {count} wanted of "
            f"{sum(map(len, by_class.values()))}. Give --calibration-images 100 or more."
        )
    turns = zip_longest(*(by_class[label] for label in sorted(by_class)))
    return tuple(photo for turn in turns for photo in turn if photo is not None)[:count]


@dataclass(frozen=True)
class CalibrationSet:
    """The chosen photos with their hashes, as the manifest lists them."""

    photos: tuple[Photo, ...]
    images: tuple[CalibrationImage, ...]

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the names and hashes, in hex."""
        lines = "".join(f"{image.path}\t{image.sha256}\n" for image in self.images)
        return hashlib.sha256(lines.encode()).hexdigest()


def describe_calibration(
    chosen: Sequence[Photo], judged: Sequence[Photo], root: Path
) -> CalibrationSet:
    """Hash the chosen photos and make sure that none of them is among the evaluation photos.

    Raises:
        InputError: a picture (by content, whatever its name) is in both.
    """
    digests = [hashlib.sha256(photo.path.read_bytes()).hexdigest() for photo in chosen]
    sizes = {photo.path.stat().st_size for photo in chosen}
    calibrating = dict(zip(digests, chosen, strict=True))
    for photo in judged:
        # Only files of a size that occurs can be equal: most need no reading.
        if photo.path.stat().st_size in sizes:
            twin = calibrating.get(hashlib.sha256(photo.path.read_bytes()).hexdigest())
            if twin is not None and twin.box == photo.box:
                raise InputError(
                    "Expected calibration photos apart from the evaluation photos. Received "
                    f"{photo.path}, the same picture as {twin.path}. "
                    "Run promolens doctor on the data and train again."
                )
    pairs = zip(chosen, digests, strict=True)
    images = tuple(CalibrationImage(relative_name(p.path, root), digest) for p, digest in pairs)
    return CalibrationSet(tuple(chosen), images)


def halves(chosen: Sequence[Photo]) -> tuple[tuple[Photo, ...], tuple[Photo, ...]]:
    """Split the chosen photos into two disjoint sets for the stability check."""
    return tuple(chosen[0::2]), tuple(chosen[1::2])
