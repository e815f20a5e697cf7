"""Keeps splits as a CSV of the convention, so that they can be read, compared and edited."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path

from promolens_runtime.errors import InputError
from promolens_training.data.csv_convention import read_photo_rows
from promolens_training.data.photos import Photo
from promolens_training.data.reading import Limits, path_fault, path_order
from promolens_training.files import write_atomically

_COLUMNS = ("path", "label", "split", "is_query", "is_gallery", "source_id", "x1", "y1", "x2", "y2")


def _relative(photo: Photo, root: Path) -> str:
    if not photo.path.is_relative_to(root):
        raise InputError(f"Expected photos below {root}. Received {photo.path}. Give their folder.")
    text = photo.path.relative_to(root).as_posix()
    fault = path_fault(text)
    if fault or text != text.strip():
        raise InputError(
            f"Expected a file name that a CSV can hold. Received {fault or repr(text)}. Rename it."
        )
    return text


def save_splits(path: Path, photos: Sequence[Photo], root: Path) -> None:
    """Write every photo's split and source, sorted by path, atomically.

    Args:
        path: the CSV file.
        photos: with their final splits and sources.
        root: folder that the paths in the file start from.

    Raises:
        InputError: a photo is not below `root`, or its name does not fit in a CSV.
    """
    root = Path(os.path.abspath(root))  # noqa: PTH100 - links stay as given
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(_COLUMNS)
    for photo in sorted(photos, key=path_order):
        flags = (int(photo.is_query), int(photo.is_gallery))
        box = photo.box or ("", "", "", "")
        name = _relative(photo, root)
        table.writerow([name, photo.label, photo.split, *flags, photo.source_id, *box])
    data = text.getvalue().encode()
    write_atomically(path, lambda file: file.write(data))


def load_splits(path: Path, root: Path) -> tuple[Photo, ...]:
    """Read what `save_splits` wrote: the photos, sorted by path.

    Raises:
        InputError: the file is absent or damaged, or a photo is no longer there.
    """
    if not path.is_file():
        raise InputError(f"Expected a file of splits. Received {path}, which is absent.")
    root = Path(os.path.abspath(root))  # noqa: PTH100 - links stay as given
    photos, problems = read_photo_rows(path, root, Limits())
    if problems:
        raise InputError(problems[0].message)
    return photos
