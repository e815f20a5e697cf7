"""Many short texts in two arrays: they can lie in a file that several processes map."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class TextColumn:
    """Texts, one after another.

    Attributes:
        offsets: int64 `[n + 1]`, where each begins in `data`, and the end.
        data: uint8, UTF-8.
    """

    offsets: NDArray[np.int64]
    data: NDArray[np.uint8]

    @classmethod
    def of(cls, texts: Iterable[bytes]) -> TextColumn:
        """Join UTF-8 texts."""
        parts = list(texts)
        lengths = np.fromiter(map(len, parts), np.int64, len(parts))
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])
        return cls(offsets, np.frombuffer(b"".join(parts), np.uint8))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> bytes:
        return self.data[self.offsets[index] : self.offsets[index + 1]].tobytes()

    def some(self, places: NDArray[np.int64]) -> list[bytes]:
        """Return the texts at some places."""
        # Plain numbers: for ten places arrays of them take longer to make than to read.
        view, offset = memoryview(self.data.data), self.offsets.item
        return [bytes(view[offset(place) : offset(place + 1)]) for place in places.tolist()]

    def first_at_least(self, wanted: Any, key: Callable[[bytes], Any]) -> int:
        """Return the first place whose `key` is not below `wanted`, in a column sorted by it."""
        low, high = 0, len(self)
        while low < high:
            middle = (low + high) // 2
            if key(self[middle]) < wanted:
                low = middle + 1
            else:
                high = middle
        return low
