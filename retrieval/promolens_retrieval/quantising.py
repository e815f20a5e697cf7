"""Eight bits a number: what the index scans; and how far that can be from the truth.

One scale for all vectors of an index, so that whole numbers are compared (FAISS's
`QT_8bit_direct_signed`): nothing is trained, and nothing drifts as the collection grows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from promolens_retrieval.vectors import Floats, Halves

STEPS = 127
_ROWS_AT_ONCE = 16_384


@dataclass(frozen=True)
class Quantised:
    """Vectors in eight bits.

    Attributes:
        codes: int8 `[n, dim]`; `codes * scale` is nearly the vector.
        scale: what one step is worth.
        error: the largest distance between a vector, brought to length 1, and `codes * scale`: by
            so much a cosine can be off.
    """

    codes: NDArray[np.int8]
    scale: float
    error: float


def quantise(units: Halves | Floats) -> Quantised:
    """Quantise unit vectors `[n, dim]` by one scale that clips none of their numbers."""
    largest = max((float(np.abs(part).max(initial=0)) for part in _parts(units)), default=0.0)
    scale = largest / STEPS or 1.0 / STEPS
    codes = np.empty(units.shape, np.int8)
    error = 0.0
    for start in range(0, len(units), _ROWS_AT_ONCE):
        part = units[start : start + _ROWS_AT_ONCE].astype(np.float32)
        rounded = np.rint(part / np.float32(scale))
        codes[start : start + len(part)] = rounded
        part /= np.linalg.norm(part, axis=1, keepdims=True)
        off = np.linalg.norm(part - rounded * np.float32(scale), axis=1)
        error = max(error, float(off.max(initial=0)))
    return Quantised(codes, scale, error)


def _parts(units: NDArray[np.float16] | Floats) -> list[NDArray[np.float16] | Floats]:
    return [units[start : start + _ROWS_AT_ONCE] for start in range(0, len(units), _ROWS_AT_ONCE)]
