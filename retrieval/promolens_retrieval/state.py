"""What a search sees: the built part, what changed since, and what is gone. Never changed in place.

A search takes candidates by whole-number codes, scores them by the stored float16 vectors, and
orders them by score, then key. Codes are off by at most a known distance, so a second pass can
prove the order: it scores every row that could still belong to the best `k`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promolens_retrieval.base import EXACT, Base, Mask, Places
from promolens_retrieval.catalog_rows import Changed, Place
from promolens_retrieval.entries import Entry, Filter, Hit, Hits, VectorKey
from promolens_retrieval.faiss_library import faiss_library
from promolens_retrieval.quantising import STEPS
from promolens_retrieval.vectors import Doubles, Floats, Halves, cosines, stored_lengths

RESCORED = 50
RESCORED_PER_K = 3
_ROUNDING = 1e-5
_SCORED_AT_ONCE = 8_192
# A graph under a filter that leaves less than this share finds too little: scan the codes.
_GRAPH_SHARE = 0.2


@dataclass(frozen=True)
class Newer:
    """A row that is not in the base."""

    entry: Entry
    unit: Halves


@dataclass(frozen=True)
class _Coded:
    """A query in whole numbers: `codes` `[1, dim]` times `scale` is nearly `query`."""

    query: Doubles
    codes: Floats
    scale: float

    @property
    def error(self) -> float:
        """By how much it is off."""
        return float(np.linalg.norm(self.query - self.codes[0] * self.scale))


@dataclass(frozen=True)
class State:
    """One moment of a space.

    Attributes:
        place: where the space stood.
        base: the built part.
        newer: rows after it, by key; they replace those of the base.
        gone: bool `[n]`: places of the base that were deleted or replaced since.
        n_gone: how many.
    """

    place: Place
    base: Base
    newer: Mapping[VectorKey, Newer]
    gone: Mask
    n_gone: int

    def __len__(self) -> int:
        return len(self.base) - self.n_gone + len(self.newer)

    def after(self, changes: Iterable[Changed], place: Place) -> State:
        """Return the state after some changes."""
        newer, gone = dict(self.newer), self.gone.copy()
        for change in changes:
            key = change.entry.key
            found = self.base.place(key)
            if found is not None:
                gone[found] = True
            newer.pop(key, None)
            if change.unit is not None:
                newer[key] = Newer(change.entry, change.unit)
        return State(place, self.base, newer, gone, int(gone.sum()))

    def search(
        self, query: Doubles, k: int, where: Filter | None, exact: bool, ef_search: int
    ) -> Hits:
        """Return the best `k` for a unit query `[dim]`."""
        selected = _Selected.of(self, where)
        places, scores = selected.best(query, k, exact, ef_search)
        found = zip(self.base.rows_at(places), scores.tolist(), strict=True)
        hits = [Hit(*row, score) for row, score in found]
        if self.newer:
            hits += self._newer_hits(query, k, where)
            hits.sort(key=lambda hit: (-hit.score, hit.image_id, hit.region_id))
        return hits[:k]

    def keys(self, where: Filter | None) -> list[VectorKey]:
        """Return all keys that meet a filter, in their order."""
        mask = ~self.gone if where is None else self.base.allowed(where) & ~self.gone
        rows = self.base.rows_at(np.flatnonzero(mask))
        found = [VectorKey(image_id, region_id) for image_id, region_id, _ in rows]
        found += [k for k, one in self.newer.items() if where is None or where.allows(one.entry)]
        return sorted(found)

    @cached_property
    def _newer_rows(self) -> tuple[list[Entry], Doubles, Doubles]:
        """Entries, vectors `[m, dim]` and their lengths `[m]` of the newer rows."""
        rows = list(self.newer.values())
        units = np.stack([row.unit for row in rows]).astype(np.float64)
        return [row.entry for row in rows], units, stored_lengths(units)

    def _newer_hits(self, query: Doubles, k: int, where: Filter | None) -> Hits:
        entries, units, lengths = self._newer_rows
        scores = cosines(query, units, lengths)
        places = np.arange(len(entries))
        if where is not None:
            places = np.array([i for i in places if where.allows(entries[i])], np.int64)
            scores = scores[places]
        if len(places) > k:
            least = np.partition(scores, len(scores) - k)[len(scores) - k]
            places, scores = places[scores >= least], scores[scores >= least]
        return [
            Hit(e.image_id, e.region_id, e.item_id, score)
            for e, score in zip((entries[i] for i in places), scores.tolist(), strict=True)
        ]


@dataclass(frozen=True)
class _Selected:
    """The rows of a base that may be answers.

    Attributes:
        bits: which, 8 places a byte; None for all.
        count: how many.
    """

    base: Base
    bits: NDArray[np.uint8] | None
    count: int

    @classmethod
    def of(cls, state: State, where: Filter | None) -> _Selected:
        base = state.base
        if where is None and not state.n_gone:
            return cls(base, None, len(base))
        mask = ~state.gone if where is None else base.allowed(where) & ~state.gone
        return cls(base, np.packbits(mask, bitorder="little"), int(mask.sum()))

    def best(self, query: Doubles, k: int, exact: bool, ef_search: int) -> tuple[Places, Floats]:
        """Return places and scores of the best `k` rows, best first."""
        if not self.count:
            return np.zeros(0, np.int64), np.zeros(0, np.float32)
        coded = _coded(query)
        wanted = min(max(RESCORED, RESCORED_PER_K * k), self.count)
        nearly, places = self._nearest(coded, wanted, exact, ef_search)
        scores = self._scores(query, places)
        order = np.lexsort((places, -scores))[:k]
        if wanted < self.count:
            last = int(order[-1])
            # An equal row may have been cut off: equal vectors have equal codes.
            cut = nearly[-1] >= nearly[last]
            if exact or cut:
                least = float(nearly[last]) if not exact else self._least(coded, scores[last])
                places = self._at_least(coded, least)
                scores = self._scores(query, places)
                order = np.lexsort((places, -scores))[:k]
        return places[order], scores[order]

    def _least(self, coded: _Coded, score: np.float32) -> float:
        """Return the smallest product of codes that a row of at least this score can have."""
        off = self.base.error + coded.error * (1 + self.base.error) + _ROUNDING
        return (float(score) - off) / (self.base.scale * coded.scale)

    def _nearest(
        self, coded: _Coded, wanted: int, exact: bool, ef_search: int
    ) -> tuple[Floats, Places]:
        if self.base.kind != EXACT and not exact and self._graph_does():
            found = self._ask_graph(coded, wanted, ef_search)
            if len(found[0]) == wanted:
                return found
        products, places = self.base.flat.search(coded.codes, wanted, params=self._parameters())
        return products[0], places[0]

    def _graph_does(self) -> bool:
        return self.count >= _GRAPH_SHARE * len(self.base)

    def _ask_graph(self, coded: _Coded, wanted: int, ef_search: int) -> tuple[Floats, Places]:
        faiss = faiss_library()
        options: dict[str, Any] = {"efSearch": max(ef_search, 2 * wanted)}
        if self.bits is not None:
            options["sel"] = self._selector()
        parameters = faiss.SearchParametersHNSW(**options)
        products, places = self.base.index.search(coded.codes, wanted, params=parameters)
        there = places[0] >= 0
        return products[0][there], places[0][there]

    def _at_least(self, coded: _Coded, least: float) -> Places:
        # The bound itself belongs to it, and FAISS leaves it out.
        bound = np.nextafter(np.float32(least), np.float32(-np.inf))
        _, _, places = self.base.flat.range_search(
            coded.codes, float(bound), params=self._parameters()
        )
        return np.asarray(places, np.int64)

    def _parameters(self) -> Any:
        if self.bits is None:
            return None
        return faiss_library().SearchParameters(sel=self._selector())

    def _selector(self) -> Any:
        return faiss_library().IDSelectorBitmap(self.bits)

    def _scores(self, query: Doubles, places: Places) -> Floats:
        units, lengths = self.base.units, self.base.lengths
        if len(places) <= _SCORED_AT_ONCE:
            return cosines(query, units[places], lengths[places])
        starts = range(0, len(places), _SCORED_AT_ONCE)
        parts = [places[start : start + _SCORED_AT_ONCE] for start in starts]
        return np.concatenate([cosines(query, units[some], lengths[some]) for some in parts])


def _coded(query: Doubles) -> _Coded:
    scale = float(np.abs(query).max()) / STEPS
    codes = np.empty((1, len(query)), np.float32)
    np.rint(query / scale, out=codes[0], casting="same_kind")
    return _Coded(query, codes, scale)
