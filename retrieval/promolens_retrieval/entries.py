"""What is stored, what is asked, and what is answered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from promolens_retrieval.vectors import Doubles, Halves
from promolens_runtime.errors import InputError

MAX_CHARACTERS = 300
MAX_REGION = 1_000_000
MAX_ATTRIBUTES = 32
MAX_VALUES = 64
MAX_K = 10_000
IMAGE, ITEM = "image_id", "item_id"
"""Names that a filter may use beside attributes."""

Attributes = Mapping[str, Sequence[str]]


class VectorKey(NamedTuple):
    """What names a vector in its space: a region (0: the whole) of an image. Keys have an order."""

    image_id: str
    region_id: int = 0


@dataclass(frozen=True)
class Entry:
    """What a vector shows.

    Attributes:
        image_id: the picture, 1 to 300 characters: its hash or path.
        item_id: the thing on it: a catalog's item number as text, a label.
        region_id: which part of the picture; 0 for the whole.
        attributes: name to values, for filters: `{"chain": ("cu", "gs25")}`.
    """

    image_id: str
    item_id: str
    region_id: int = 0
    attributes: Attributes = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check names and counts, and sort the attributes; raises InputError."""
        check_key(VectorKey(self.image_id, self.region_id))
        _check_text(ITEM, self.item_id)
        object.__setattr__(self, "attributes", _sorted_attributes(self.attributes))
        if not {IMAGE, ITEM}.isdisjoint(self.attributes):
            raise InputError(
                f"Expected attributes beside {IMAGE} and {ITEM}. Received one of that name. "
                "Rename it."
            )

    @property
    def key(self) -> VectorKey:
        """What names its vector."""
        return VectorKey(self.image_id, self.region_id)


@dataclass(frozen=True)
class Filter:
    """Which vectors may be answers: all conditions together.

    Attributes:
        any_of: name to values, of which the vector must have one.
        none_of: name to values, of which it must have none: `{"image_id": (the query's own,)}`.

    Names are those of attributes, `image_id` and `item_id`.
    """

    any_of: Attributes = field(default_factory=dict)
    none_of: Attributes = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check names and counts; raises InputError."""
        for name in ("any_of", "none_of"):
            object.__setattr__(self, name, _sorted_attributes(getattr(self, name), 10_000))

    def allows(self, entry: Entry) -> bool:
        """Return whether an entry meets all conditions."""
        return all(_has(entry, name, values) for name, values in self.any_of.items()) and not any(
            _has(entry, name, values) for name, values in self.none_of.items()
        )


class Hit(NamedTuple):
    """An answer: `score` is the cosine, -1..1. Equal scores are in the order of their keys."""

    image_id: str
    region_id: int
    item_id: str
    score: float

    @property
    def key(self) -> VectorKey:
        """What names the vector."""
        return VectorKey(self.image_id, self.region_id)


Hits = list[Hit]


@dataclass(frozen=True)
class Vectors:
    """Vectors as they are stored.

    Attributes:
        entries: in the order of their keys.
        units: float16 `[n, dim]`.
        norms: float64 `[n]`, lengths before they became unit vectors.
    """

    entries: tuple[Entry, ...]
    units: Halves
    norms: Doubles

    def __len__(self) -> int:
        return len(self.entries)


@dataclass(frozen=True)
class Stats:
    """How an index is.

    Attributes:
        rows: vectors that can be found.
        seq: of the newest change that searches see.
        kind: what searches: `exact int8`, `HNSW int8`, `pgvector exact`, `pgvector HNSW`.
        newer_rows: rows that are not in the built part yet; they are searched exactly.
        gone_rows: rows of the built part that were deleted or replaced since; never answered.
        size_bytes: of what searches read, in memory or on disk.
        note: what to do, where there is something: one line, else empty.
    """

    rows: int
    seq: int
    kind: str
    newer_rows: int
    gone_rows: int
    size_bytes: int
    note: str = ""


def check_key(key: VectorKey) -> None:
    """Check the parts of a key; raises InputError."""
    _check_text(IMAGE, key.image_id)
    region = key.region_id
    if isinstance(region, bool) or not isinstance(region, int) or not 0 <= region <= MAX_REGION:
        raise InputError(
            f"Expected a region from 0 to {MAX_REGION}. Received {str(region)[:40]}. Number it."
        )


def check_keys(keys: Iterable[VectorKey]) -> list[VectorKey]:
    """Return keys sorted, each once; raises InputError."""
    found = {VectorKey(*key) for key in keys}
    for key in found:
        check_key(key)
    return sorted(found)


def check_k(k: int) -> None:
    """Check how many answers are asked for; raises InputError."""
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or not 1 <= k <= MAX_K:
        raise InputError(f"Expected k from 1 to {MAX_K}. Received {str(k)[:40]}. Ask for fewer.")


def check_entries(entries: Sequence[Entry], vectors: int) -> None:
    """Check that there is an entry for each vector, and each key once; raises InputError."""
    if len(entries) != vectors:
        raise InputError(
            f"Expected an entry for each vector. Received {len(entries)} entries for {vectors} "
            "vectors. Give as many."
        )
    seen: set[VectorKey] = set()
    for entry in entries:
        if entry.key in seen:
            raise InputError(
                f"Expected each region of an image once. Received {entry.image_id[:80]!r} region "
                f"{entry.region_id} twice. Leave one out, or number the regions."
            )
        seen.add(entry.key)


def _has(entry: Entry, name: str, values: Sequence[str]) -> bool:
    if name == IMAGE:
        return entry.image_id in values
    if name == ITEM:
        return entry.item_id in values
    return any(value in values for value in entry.attributes.get(name, ()))


def _check_text(what: str, text: str) -> None:
    bad = not isinstance(text, str) or not 0 < len(text) <= MAX_CHARACTERS
    if bad or "\0" in text or not text.isprintable():
        raise InputError(
            f"Expected 1 to {MAX_CHARACTERS} printable characters as {what}. Received "
            f"{str(text)[:60]!r}. Shorten or clean it."
        )


def _sorted_attributes(attributes: Attributes, max_values: int = MAX_VALUES) -> Attributes:
    if len(attributes) > MAX_ATTRIBUTES:
        raise InputError(
            f"Expected at most {MAX_ATTRIBUTES} attributes. Received {len(attributes)}. "
            "Keep those that filters use."
        )
    found: dict[str, tuple[str, ...]] = {}
    for name in sorted(attributes):
        given = attributes[name]
        values = (given,) if isinstance(given, str) else tuple(sorted(set(given)))
        if len(values) > max_values:
            raise InputError(
                f"Expected at most {max_values} values of an attribute. Received {len(values)} "
                f"of {name[:80]!r}. Keep fewer."
            )
        for text in (name, *values):
            _check_text("attribute", text)
        found[name] = values
    return found
