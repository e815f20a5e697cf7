"""What a dataset is to the rest of the toolkit: photos with labels, and the classes they name."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Photo:
    """One labelled picture.

    Attributes:
        path: absolute path of the file.
        label: name of the class, a key of the set's classes.
        split: "train", "val" or "test" where the dataset fixes it, "" where it is ours to choose.
        source_id: what must stay together when splitting (a shop visit, a burst, a product page).
        box: region `x1, y1, x2, y2` in pixels of the upright picture, None for the whole picture.
    """

    path: Path
    label: str
    split: str = ""
    source_id: str = ""
    is_query: bool = False
    is_gallery: bool = False
    box: tuple[int, int, int, int] | None = None


@dataclass(frozen=True)
class ProductClass:
    """One thing that the model can name.

    Attributes:
        name: the label in the dataset, NFC-normalised.
        item_id: stable id of the catalogue item; the name where nothing else is known.
        barcodes: EAN-13, EAN-8, UPC-A or in-store codes.
        name_ko, name_en: what people read; the name where nothing else is known.
        parent: name of the coarse class, None where there is no hierarchy.
        aliases: other spellings that datasets use for the same class (a numeric id, say).
    """

    name: str
    item_id: str
    barcodes: tuple[str, ...] = ()
    name_ko: str = ""
    name_en: str = ""
    parent: str | None = None
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class PhotoSet:
    """A dataset as loaded: every photo, and the classes in output order (sorted by name).

    Attributes:
        layout: "class-folders", "grocery-lists" or "csv".
        photos: the photos of `classes`.
        background: photos of things that are taught and never answered (`data.background`); those
            of split "test" are never trained on and count as unknown objects.
    """

    root: Path
    layout: str
    photos: tuple[Photo, ...]
    classes: tuple[ProductClass, ...]
    notes: tuple[str, ...] = field(default=())
    background: tuple[Photo, ...] = ()

    @property
    def all_photos(self) -> tuple[Photo, ...]:
        """The photos of the classes, then those of the background."""
        return (*self.photos, *self.background)

    def in_split(self, *splits: str) -> tuple[Photo, ...]:
        """Return the photos of the named splits, in the set's order."""
        return tuple(photo for photo in self.photos if photo.split in splits)
