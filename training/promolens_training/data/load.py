"""Loads a dataset in any of its three layouts into one `PhotoSet`."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

from promolens_runtime.errors import InputError
from promolens_training.data.background import is_background
from promolens_training.data.class_folders import read_class_folders
from promolens_training.data.csv_convention import read_csv_convention
from promolens_training.data.grocery_lists import find_grocery_lists, read_grocery_lists
from promolens_training.data.photos import PhotoSet
from promolens_training.data.reading import Limits, Reading, normal_name

_SHOWN = 12


def read_dataset(root: Path, limits: Limits | None = None) -> Reading:
    """Read a dataset with everything wrong in it: the doctor's entrance.

    Args:
        root: a folder (class folders, the Grocery Store Dataset, or with a photos.csv) or a .csv.
        limits: how large it may be.

    Raises:
        InputError: nothing can be read at all.
    """
    root = Path(os.path.abspath(root))  # noqa: PTH100 - links in the user's path stay as given
    limits = limits or Limits()
    if root.is_file():
        if root.suffix.lower() != ".csv":
            raise InputError(
                f"Expected a folder or a .csv. Received the file {root}. "
                "Unpack it, or give its folder."
            )
        return read_csv_convention(root, limits)
    if not root.is_dir():
        raise InputError(f"Expected a folder of photos. Received {root}, which is absent.")
    if (root / "photos.csv").is_file():
        return read_csv_convention(root / "photos.csv", limits)
    lists = find_grocery_lists(root)
    if lists is not None:
        return read_grocery_lists(lists, limits)
    return read_class_folders(root, limits)


def select_classes(reading: Reading, only: str | None) -> Reading:
    """Keep the classes whose path below the split, or whose name, matches the glob `only`.

    Background stays whatever the pattern says. `*` crosses `/`: "Packages/*" keeps
    `Packages/Milk/Arla`. Case counts.

    Raises:
        InputError: nothing matches; the message lists what is there.
    """
    if only is None or not only.strip():
        return reading
    pattern = normal_name(only)
    entries = tuple(
        entry
        for entry in reading.entries
        if is_background(entry.photo.label)
        or fnmatchcase(entry.class_path, pattern)
        or fnmatchcase(entry.photo.label, pattern)
    )
    if all(is_background(entry.photo.label) for entry in entries):
        paths = sorted({entry.class_path for entry in reading.entries})
        more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
        raise InputError(
            f"Expected a pattern that matches a class. Received {only!r}. "
            f"Available: {', '.join(paths[:_SHOWN])}{more}."
        )
    used = {entry.photo.label for entry in entries}
    classes = tuple(product for product in reading.classes if product.name in used)
    return replace(reading, entries=entries, classes=classes)


def _require_sound(reading: Reading) -> None:
    if reading.problems:
        rest = len(reading.problems) - 1
        more = f" ({rest} more: run `promolens doctor`.)" if rest else ""
        raise InputError(f"{reading.problems[0].message}{more}")
    if not reading.entries:
        raise InputError(
            f"Expected pictures in class folders below {reading.root}. Received none. "
            "Lay them out as class/picture.jpg or train/class/picture.jpg."
        )


def photo_set_of(reading: Reading) -> PhotoSet:
    """Return what was read as a `PhotoSet`, sorted by path, whatever is wrong with it."""
    n_other = len(reading.other_files)
    notes = [*reading.notes]
    if n_other:
        notes.append(f"{n_other} files that are not pictures were skipped")
    photos = [entry.photo for entry in reading.entries]
    background = tuple(photo for photo in photos if is_background(photo.label))
    if background:
        things = len({photo.label for photo in background})
        notes.append(
            f"{len(background)} photos of {things} background classes (~): taught, never answered"
        )
    return PhotoSet(
        root=reading.root,
        layout=reading.layout,
        photos=tuple(photo for photo in photos if not is_background(photo.label)),
        classes=tuple(one for one in reading.classes if not is_background(one.name)),
        notes=tuple(notes),
        background=background,
    )


def load_photo_set(root: Path, only: str | None = None, limits: Limits | None = None) -> PhotoSet:
    """Load a dataset; its layout is recognised by what lies in the folder.

    Photos are sorted by path and classes by name, so file-system order never matters. The pictures
    are not opened: `promolens doctor` does that.

    Args:
        root: a folder of class folders, a clone of the Grocery Store Dataset (or its `dataset/`),
            a folder with photos.csv, or a .csv file.
        only: a glob over class paths below the split ("Packages/*") or class names.
        limits: how large it may be.

    Raises:
        InputError: the dataset cannot be used; one line with the first reason.
    """
    reading = read_dataset(root, limits)
    _require_sound(reading)
    return photo_set_of(select_classes(reading, only))


def require_trainable(photo_set: PhotoSet) -> None:
    """Refuse a dataset on which no classifier can be trained and checked.

    Raises:
        InputError: fewer than two classes, or a class with fewer than two photos outside "test".
    """
    names = [product.name for product in photo_set.classes]
    if len(names) < 2:
        raise InputError(
            f"Expected at least two classes in {photo_set.root}. Received "
            f"{f'one, {names[0]!r}' if names else 'none'}. Add photos of another product."
        )
    counts = Counter(photo.label for photo in photo_set.photos if photo.split != "test")
    poor = [name for name in names if counts[name] < 2]
    if poor:
        more = f" and {len(poor) - _SHOWN} more classes" if len(poor) > _SHOWN else ""
        raise InputError(
            "Expected at least two photos a class for training. Received fewer of "
            f"{', '.join(repr(name) for name in poor[:_SHOWN])}{more}. "
            "Add photos or leave the class out."
        )
