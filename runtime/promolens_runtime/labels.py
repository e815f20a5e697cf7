"""labels.json: from the model's output order to products."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from promolens_runtime.canonical import canonical_json, parse_json
from promolens_runtime.errors import BundleError

TEXTS = ("label", "item_id", "name_ko", "name_en")
LISTS = ("barcodes", "aliases")


@dataclass(frozen=True)
class Label:
    """What one output of the model means.

    Attributes:
        index: place in the logits.
        label: name of the class in the dataset, unique.
        item_id: id of the catalogue item, unique.
        barcodes: EAN-13, EAN-8, UPC-A or in-store codes.
        name_ko, name_en: what people read.
        parent: name of the coarse class, None without a hierarchy.
        aliases: other names of the class in datasets.
    """

    index: int
    label: str
    item_id: str
    barcodes: tuple[str, ...] = ()
    name_ko: str = ""
    name_en: str = ""
    parent: str | None = None
    aliases: tuple[str, ...] = ()


def labels_json(labels: Sequence[Label]) -> bytes:
    """Return labels.json (canonical JSON, in output order). Raises BundleError as the reader."""
    data = canonical_json({"classes": [asdict(label) for label in labels]})
    read_labels(data)
    return data


def read_labels(data: bytes) -> tuple[Label, ...]:
    """Read labels.json.

    Raises BundleError for damage, an index out of order, and labels or item ids given twice.
    """
    value = parse_json(data, "labels.json")
    classes = value.get("classes") if isinstance(value, dict) else None
    if not isinstance(classes, list) or not classes:
        raise _refused("an object with a list `classes`", "none")
    labels = tuple(_label(entry, index) for index, entry in enumerate(classes))
    for name in ("label", "item_id"):
        values = [getattr(label, name) for label in labels]
        twice = sorted(text for text, times in Counter(values).items() if times > 1)
        if twice:
            raise _refused(f"every {name} once", f"{twice[0]!r} more than once")
    return labels


def _label(entry: Any, index: int) -> Label:
    if not isinstance(entry, Mapping) or entry.get("index") != index:
        found = entry.get("index") if isinstance(entry, Mapping) else entry
        raise _refused(f"index {index} at place {index}", repr(found)[:80])
    wrong = [name for name in TEXTS if not isinstance(entry.get(name), str)]
    wrong += [name for name in LISTS if not _is_texts(entry.get(name))]
    if wrong or not isinstance(entry.get("parent", 0), str | None) or not entry["item_id"]:
        raise _refused(
            f"class {index} with texts {', '.join(TEXTS)}, lists {', '.join(LISTS)} and a parent",
            f"a wrong {', '.join(wrong) or 'parent or item_id'}",
        )
    return Label(
        index=index,
        label=entry["label"],
        item_id=entry["item_id"],
        barcodes=tuple(entry["barcodes"]),
        name_ko=entry["name_ko"],
        name_en=entry["name_en"],
        parent=entry["parent"],
        aliases=tuple(entry["aliases"]),
    )


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)


def _refused(expected: str, received: str) -> BundleError:
    return BundleError(
        f"Expected labels.json with {expected}. Received {received}. Export the bundle again."
    )
