"""Which rows of another list are worth comparing a row with: an index of weighed bigrams."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from promolens_catalog.link_features import Rarity, Reading
from promolens_catalog.names import bigrams

NEAREST = 6
# What an equal price is worth beside two cosines.
_PRICE_WEIGHT = 0.4

_Floats = npt.NDArray[np.float64]
_Numbers = npt.NDArray[np.int64]


class NameIndex:
    """The rows of one list, found by the bigrams of their whole name and of its core."""

    def __init__(self, readings: Sequence[Reading], rarity: Rarity) -> None:
        self._rarity = rarity
        self._size = len(readings)
        self._prices = np.array([reading.listed.price_krw for reading in readings], np.int64)
        numbers: dict[str, int] = {}
        pieces: list[int] = []
        rows: list[int] = []
        for row, reading in enumerate(readings):
            for piece in _pieces(reading):
                pieces.append(numbers.setdefault(piece, len(numbers)))
                rows.append(row)
        self._numbers = numbers
        weights = np.array([rarity.weight(piece[1:]) for piece in numbers], np.float64)
        self._fill(np.array(pieces, np.int64), np.array(rows, np.int64), weights)

    def _fill(self, pieces: _Numbers, rows: _Numbers, weights: _Floats) -> None:
        is_core = np.array([piece[0] == "c" for piece in self._numbers], np.int64)
        # One vector for the whole name and one for the core, each of length 1.
        part = 2 * rows + is_core[pieces] if len(pieces) else rows
        norms = np.sqrt(np.bincount(part, weights[pieces] ** 2, minlength=2 * self._size))
        order = np.argsort(pieces, kind="stable")
        self._rows = rows[order]
        self._weights = (weights[pieces] / norms[part])[order] if len(pieces) else weights[:0]
        self._starts = np.searchsorted(pieces[order], np.arange(len(self._numbers) + 1))

    def nearest(self, reading: Reading, most: int = NEAREST) -> list[int]:
        """Return the numbers of the rows most like `reading`, at most `most`, best first."""
        likeness = self._likeness(reading)
        count = min(most, self._size)
        if count == 0:
            return []
        best = np.argpartition(-likeness, count - 1)[:count]
        # Rows that share nothing but the price are no candidates.
        best = best[likeness[best] > _PRICE_WEIGHT]
        return [int(row) for row in best[np.lexsort((best, -likeness[best]))]]

    def _likeness(self, reading: Reading) -> _Floats:
        rows: list[_Numbers] = []
        weights: list[_Floats] = []
        for kind, pieces in (("f", set(bigrams(reading.full))), ("c", set(bigrams(reading.core)))):
            own = {piece: self._rarity.weight(piece) for piece in pieces}
            norm = sum(weight * weight for weight in own.values()) ** 0.5
            for piece, weight in own.items():
                number = self._numbers.get(kind + piece)
                if number is not None:
                    place = slice(self._starts[number], self._starts[number + 1])
                    rows.append(self._rows[place])
                    weights.append(self._weights[place] * (weight / norm))
        equal: _Floats = _PRICE_WEIGHT * (self._prices == reading.listed.price_krw)
        if not rows:
            return equal
        total = np.bincount(np.concatenate(rows), np.concatenate(weights), minlength=self._size)
        return total + equal


def _pieces(reading: Reading) -> Iterable[str]:
    yield from {f"f{piece}" for piece in bigrams(reading.full)}
    yield from {f"c{piece}" for piece in bigrams(reading.core)}
