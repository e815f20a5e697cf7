"""Which of a model's classes a dataset means by its labels."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from promolens_runtime.errors import InputError
from promolens_runtime.labels import Label
from promolens_training.data.photos import Photo, ProductClass

_SHOWN = 8


@dataclass(frozen=True)
class Matching:
    """The model's name of each of the dataset's labels, and the labels that it does not know."""

    names: dict[str, str]
    unmatched: tuple[str, ...]


def classes_of(labels: Sequence[Label]) -> tuple[ProductClass, ...]:
    """Return a bundle's labels as classes, in output order."""
    return tuple(
        ProductClass(
            one.label,
            one.item_id,
            one.barcodes,
            one.name_ko,
            one.name_en,
            one.parent,
            one.aliases,
        )
        for one in labels
    )


def _index(classes: Sequence[ProductClass], kind: str) -> dict[str, set[str]]:
    keys: dict[str, set[str]] = defaultdict(set)
    for one in classes:
        values = {"label": (one.name,), "item_id": (one.item_id,), "alias": one.aliases}[kind]
        for value in values:
            keys[unicodedata.normalize("NFC", value)].add(one.name)
    return keys


def match_labels(dataset: Sequence[ProductClass], model: Sequence[ProductClass]) -> Matching:
    """Match the dataset's labels with the model's: by label, then item_id, then alias.

    The first kind that knows a dataset's label decides; where none does, its item_id is looked up
    among the model's item ids.

    Raises:
        InputError: a label is the alias of several classes of the model.
    """
    indices = {kind: _index(model, kind) for kind in ("label", "item_id", "alias")}
    names: dict[str, str] = {}
    unmatched = []
    for one in dataset:
        label = unicodedata.normalize("NFC", one.name)
        found = next((index[label] for index in indices.values() if label in index), None)
        found = found or indices["item_id"].get(unicodedata.normalize("NFC", one.item_id))
        if not found:
            unmatched.append(one.name)
        elif len(found) > 1:
            raise InputError(
                f"Expected a label that means one class of the bundle. Received {one.name!r}, an "
                f"alias of {', '.join(sorted(found))}. Use the bundle's own labels."
            )
        else:
            names[one.name] = next(iter(found))
    return Matching(names, tuple(unmatched))


def relabelled(photos: Sequence[Photo], matching: Matching) -> tuple[Photo, ...]:
    """Return the photos under the model's labels; an unmatched one keeps a label of nobody's."""
    # A product class cannot be called "", so such a photo is an unknown object whatever its name.
    return tuple(replace(photo, label=matching.names.get(photo.label, "")) for photo in photos)


def require_matched(matching: Matching, flag: str) -> None:
    """Refuse labels that the model does not know; `flag` is the option that would allow them.

    Raises:
        InputError: listing the labels.
    """
    if matching.unmatched:
        shown = ", ".join(repr(name) for name in matching.unmatched[:_SHOWN])
        rest = len(matching.unmatched) - _SHOWN
        more = f" and {rest} more" if rest > 0 else ""
        raise InputError(
            f"Expected labels that the bundle knows (by label, item_id or alias). Received {shown}"
            f"{more}. Correct them, choose classes with --only, or count these photos as unknown "
            f"objects with {flag}."
        )
