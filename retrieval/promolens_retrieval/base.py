"""The built part of an index: the vectors of a space at one change, sorted by key, unchanging."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from promolens_retrieval.catalog_rows import STORED
from promolens_retrieval.entries import IMAGE, ITEM, Entry, Filter, VectorKey
from promolens_retrieval.faiss_library import faiss_library
from promolens_retrieval.quantising import quantise
from promolens_retrieval.text_column import TextColumn
from promolens_retrieval.vectors import Doubles, Halves, stored_lengths

EXACT: Literal["exact int8"] = "exact int8"
HNSW: Literal["HNSW int8"] = "HNSW int8"
Kind = Literal["exact int8", "HNSW int8"]
_OFFSET = 128
# No name or value may hold what is not printable.
_BETWEEN = "\x1f"

Places = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Base:
    """Rows by their place, 0 to n - 1, in the order of their keys.

    Attributes:
        max_seq: the newest change that is in it.
        units: float16 `[n, dim]`.
        codes: uint8 `[n, dim]`: int8 codes plus 128, as FAISS keeps them.
        scale: what one step of a code is worth.
        error: by so much a cosine of codes can be off (`quantising`).
        lengths: float64 `[n]`, of the units: 1 but for rounding.
        rows: image, region and item of each, in the order of image, then region.
        terms: attributes and values, sorted; the item is an attribute here.
        term_offsets: int64 `[terms + 1]`, where the places of a term begin in `term_places`.
        term_places: int32.
        graph: FAISS's bytes of an HNSW graph over the codes; empty where search is exact.
    """

    max_seq: int
    units: Halves
    codes: NDArray[np.uint8]
    scale: float
    error: float
    lengths: Doubles
    rows: TextColumn
    terms: TextColumn
    term_offsets: NDArray[np.int64]
    term_places: NDArray[np.int32]
    graph: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def dim(self) -> int:
        """Numbers in a vector."""
        return int(self.units.shape[1])

    @property
    def kind(self) -> Kind:
        """What searches."""
        return HNSW if len(self.graph) else EXACT

    @cached_property
    def index(self) -> Any:
        """FAISS's index: the codes, or the graph over them."""
        faiss = faiss_library()
        if len(self.graph):
            return faiss.deserialize_index(np.array(self.graph))
        index = _flat(self.dim)
        if len(self):
            index.add_sa_codes(np.ascontiguousarray(self.codes))
        return index

    @cached_property
    def flat(self) -> Any:
        """FAISS's plain index of the codes, also where there is a graph over them."""
        faiss = faiss_library()
        return faiss.downcast_index(self.index.storage) if len(self.graph) else self.index

    @property
    def size_bytes(self) -> int:
        """Bytes of vectors, codes, texts and graph."""
        arrays = (self.units, self.codes, self.rows.data, self.rows.offsets, self.term_places)
        return sum(array.nbytes for array in arrays) + self.graph.nbytes

    def rows_at(self, places: Places) -> list[tuple[str, int, str]]:
        """Return image, region and item of some rows."""
        parts = [text.decode().split(_BETWEEN) for text in self.rows.some(places)]
        return [(image_id, int(region_id), item_id) for image_id, region_id, item_id in parts]

    def place(self, key: VectorKey) -> int | None:
        """Return where a key is; None where it is not."""
        place = self.rows.first_at_least(key, _key_of)
        return place if place < len(self) and _key_of(self.rows[place]) == key else None

    def allowed(self, where: Filter) -> Mask:
        """Return bool `[n]`: which rows meet a filter."""
        mask = np.ones(len(self), np.bool_)
        for name, values in where.any_of.items():
            some = np.zeros(len(self), np.bool_)
            for value in values:
                some[self._places_with(name, value)] = True
            mask &= some
        for name, values in where.none_of.items():
            for value in values:
                mask[self._places_with(name, value)] = False
        return mask

    def _places_with(self, name: str, value: str) -> NDArray[Any] | slice:
        if name == IMAGE:
            first = self.rows.first_at_least(VectorKey(value, 0), _key_of)
            # After the last region that a key may have.
            end = self.rows.first_at_least(VectorKey(value, 1 << 62), _key_of)
            return slice(first, end)
        term = _term(name, value)
        found = self.terms.first_at_least(term, bytes)
        if found == len(self.terms) or self.terms[found] != term:
            return slice(0, 0)
        return self.term_places[self.term_offsets[found] : self.term_offsets[found + 1]]


def build(rows: Iterable[tuple[Entry, bytes]], dim: int, max_seq: int) -> Base:
    """Build from entries and their stored float16 vectors, sorted by key."""
    texts: list[bytes] = []
    vectors: list[bytes] = []
    terms: dict[bytes, list[int]] = {}
    for place, (entry, stored) in enumerate(rows):
        texts.append(_joined(entry.image_id, str(entry.region_id), entry.item_id))
        vectors.append(bytes(stored))
        for term in _terms(entry):
            terms.setdefault(term, []).append(place)
    units = np.frombuffer(b"".join(vectors), STORED).reshape(len(texts), dim)
    small = quantise(units)
    codes = (small.codes.view(np.uint8) ^ np.uint8(_OFFSET)).view(np.uint8)
    names = sorted(terms)
    places = [terms[name] for name in names]
    return Base(
        max_seq,
        units,
        codes,
        small.scale,
        small.error,
        stored_lengths(units),
        TextColumn.of(texts),
        TextColumn.of(names),
        _offsets(places),
        np.array([place for some in places for place in some], np.int32),
        np.zeros(0, np.uint8),
    )


def build_graph(base: Base, neighbours: int, ef_construction: int) -> NDArray[np.uint8]:
    """Return FAISS's bytes of an HNSW graph over a base's codes (Malkov and Yashunin 2018)."""
    faiss = faiss_library()
    quantiser = faiss.ScalarQuantizer.QT_8bit_direct_signed
    graph = faiss.IndexHNSWSQ(base.dim, quantiser, neighbours, faiss.METRIC_INNER_PRODUCT)
    graph.hnsw.efConstruction = ef_construction
    for start in range(0, len(base), 65_536):
        part = base.codes[start : start + 65_536]
        graph.add(part.astype(np.float32) - _OFFSET)
    return np.asarray(faiss.serialize_index(graph), np.uint8)


def with_graph(base: Base, graph: NDArray[np.uint8]) -> Base:
    """Return the same rows with a graph."""
    arrays = arrays_of(base) | {"graph": graph}
    return base_of(fields_of(base), arrays)


def fields_of(base: Base) -> dict[str, Any]:
    """Return what an index file says beside the arrays."""
    return {
        "rows": len(base),
        "dim": base.dim,
        "max_seq": base.max_seq,
        "scale": base.scale,
        "error": base.error,
    }


def arrays_of(base: Base) -> dict[str, NDArray[Any]]:
    """Return the arrays of an index file."""
    return {
        "units": base.units,
        "codes": base.codes,
        "lengths": base.lengths,
        "row_offsets": base.rows.offsets,
        "row_data": base.rows.data,
        "name_offsets": base.terms.offsets,
        "name_data": base.terms.data,
        "term_offsets": base.term_offsets,
        "term_places": base.term_places,
        "graph": base.graph,
    }


def base_of(fields: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Base:
    """Return the base of a file; raises ValueError or KeyError where it says what cannot be."""
    base = Base(
        int(fields["max_seq"]),
        arrays["units"],
        arrays["codes"],
        float(fields["scale"]),
        float(fields["error"]),
        arrays["lengths"],
        TextColumn(arrays["row_offsets"], arrays["row_data"]),
        TextColumn(arrays["name_offsets"], arrays["name_data"]),
        arrays["term_offsets"],
        arrays["term_places"],
        arrays["graph"],
    )
    shape = (int(fields["rows"]), int(fields["dim"]))
    if base.units.shape != shape or base.codes.shape != shape or len(base) != shape[0]:
        raise ValueError(f"{base.units.shape}, {base.codes.shape}, {len(base)} are not {shape}")
    return base


def _flat(dim: int) -> Any:
    faiss = faiss_library()
    return faiss.IndexScalarQuantizer(
        dim, faiss.ScalarQuantizer.QT_8bit_direct_signed, faiss.METRIC_INNER_PRODUCT
    )


def _key_of(text: bytes) -> VectorKey:
    image_id, region_id, _ = text.decode().split(_BETWEEN)
    return VectorKey(image_id, int(region_id))


def _terms(entry: Entry) -> list[bytes]:
    named = [_term(name, value) for name, values in entry.attributes.items() for value in values]
    return [_term(ITEM, entry.item_id), *named]


def _term(name: str, value: str) -> bytes:
    return _joined(name, value)


def _joined(*texts: str) -> bytes:
    return _BETWEEN.join(texts).encode()


def _offsets(lists: Sequence[Sequence[int]]) -> NDArray[np.int64]:
    lengths = np.fromiter(map(len, lists), np.int64, len(lists))
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])
