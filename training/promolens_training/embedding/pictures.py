"""A dataset for embeddings: photos, and one or more catalogue pictures of each product."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import numpy.typing as npt

from promolens_runtime.errors import InputError
from promolens_training.data import assign_sources, load_photo_set
from promolens_training.data.photos import Photo, PhotoSet
from promolens_training.data.reading import Limits, normal_name, path_fault, read_text

_GROCERY_NAME, _GROCERY_PICTURE = "Class Name (str)", "Iconic Image Path (str)"


@dataclass(frozen=True)
class ProductPictures:
    """Photos and catalogue pictures over one list of classes.

    Attributes:
        root: folder of the dataset.
        classes: names, sorted; a label is a place in it.
        photos: with `source_id`s; labels: int64 `[n]`.
        catalogue: catalogue pictures; catalogue_labels: int64 `[m]`, every class occurs.
        is_target: bool `[classes]`, False for classes that only help in training.
    """

    root: Path
    classes: tuple[str, ...]
    photos: tuple[Photo, ...]
    labels: npt.NDArray[np.int64]
    catalogue: tuple[Photo, ...]
    catalogue_labels: npt.NDArray[np.int64]
    is_target: npt.NDArray[np.bool_]

    @property
    def pictures(self) -> tuple[Photo, ...]:
        """Photos, then catalogue pictures."""
        return (*self.photos, *self.catalogue)

    @property
    def picture_labels(self) -> npt.NDArray[np.int64]:
        """Labels of `pictures`, int64 `[n + m]`."""
        return np.concatenate([self.labels, self.catalogue_labels])


def _grocery_catalogue(root: Path) -> list[Photo]:
    """Return the iconic images of the Grocery Store Dataset, one a class of classes.csv."""
    table = csv.DictReader(io.StringIO(read_text(root / "classes.csv", Limits()), newline=""))
    table.fieldnames = [name.strip() for name in table.fieldnames or ()]
    if _GROCERY_PICTURE not in table.fieldnames:
        return []
    found = []
    for row in table:
        text = (row[_GROCERY_PICTURE] or "").strip().lstrip("/")
        fault = path_fault(text)
        if fault or not (root / text).is_file():
            raise InputError(
                f"Expected an iconic image in {root / 'classes.csv'}. Received "
                f"{fault or text + ', which is absent'}. Fetch the dataset again."
            )
        found.append(Photo(root / text, normal_name(row[_GROCERY_NAME]), is_gallery=True))
    return found


def _listed_catalogue(root: Path, classes: set[str]) -> list[Photo]:
    """Return the pictures in the column `picture` of products.csv, where it has one."""
    path = root / "products.csv"
    if not path.is_file():
        return []
    table = csv.DictReader(io.StringIO(read_text(path, Limits()), newline=""))
    found = []
    for row in table:
        text, label = (row.get("picture") or "").strip(), normal_name(row.get("label") or "")
        if not text or label not in classes:
            continue
        fault = path_fault(text)
        if fault or not (root / text).is_file():
            raise InputError(
                f"Expected the picture of {label} below {root}. Received "
                f"{fault or text + ', which is absent'}. Correct products.csv."
            )
        found.append(Photo(root / text, label, is_gallery=True))
    return found


def _catalogue(photo_set: PhotoSet) -> list[Photo]:
    own = [photo for photo in photo_set.photos if photo.is_gallery]
    if not own and photo_set.layout == "grocery-lists":
        own = _grocery_catalogue(photo_set.root)
    elif not own:
        own = _listed_catalogue(photo_set.root, {one.name for one in photo_set.classes})
    return sorted(own, key=lambda photo: (photo.label, str(photo.path)))


def _is_target(photo_set: PhotoSet, names: tuple[str, ...], only: str | None) -> list[bool]:
    if only is None:
        return [True] * len(names)
    kept = {photo.label for photo in photo_set.photos if _matches(photo_set, photo, only)}
    if len(kept) < 2:
        raise InputError(f"Expected at least 2 classes that match {only!r}. Received {len(kept)}.")
    return [name in kept for name in names]


def _matches(photo_set: PhotoSet, photo: Photo, only: str) -> bool:
    """Match the class's name, or its folder below the split's, as `promolens train --only` does."""
    if fnmatchcase(photo.label, only):
        return True
    folder = photo.path.parent
    below = folder.relative_to(photo_set.root) if folder.is_relative_to(photo_set.root) else folder
    return any(
        fnmatchcase("/".join(below.parts[start:]), only) for start in range(len(below.parts))
    )


def load_product_pictures(
    root: Path, only: str | None = None, *, with_test: bool = True
) -> ProductPictures:
    """Read a dataset that has catalogue pictures.

    They are marked by `is_gallery` in photos.csv, or listed in the column `picture` of
    products.csv, or the iconic images of the Grocery Store Dataset.

    Args:
        root: as for `load_photo_set`.
        only: pattern of the classes that are judged; the others help in training.
        with_test: take the photos of split "test" too; classes are judged by folds of their own.

    Raises:
        InputError: no catalogue pictures, or fewer than two classes with both kinds.
    """
    photo_set = load_photo_set(root, None)
    catalogue = _catalogue(photo_set)
    photos = [
        photo
        for photo in photo_set.photos
        if not photo.is_gallery and (with_test or photo.split != "test")
    ]
    both = {photo.label for photo in catalogue} & {photo.label for photo in photos}
    if len(both) < 2:
        raise InputError(
            "Expected a catalogue picture and photos of at least 2 classes. Received "
            f"{len(both)}. Mark catalogue pictures with is_gallery=1 in photos.csv, or list them "
            "in the column picture of products.csv (docs/data.md)."
        )
    names = tuple(sorted(both))
    place = {name: number for number, name in enumerate(names)}
    kept = assign_sources([photo for photo in photos if photo.label in both])
    kept = tuple(replace(photo, split="") for photo in kept)
    shown = tuple(photo for photo in catalogue if photo.label in both)
    return ProductPictures(
        root=photo_set.root,
        classes=names,
        photos=kept,
        labels=np.array([place[photo.label] for photo in kept], np.int64),
        catalogue=shown,
        catalogue_labels=np.array([place[photo.label] for photo in shown], np.int64),
        is_target=np.array(_is_target(photo_set, names, only)),
    )
