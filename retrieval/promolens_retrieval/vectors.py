"""The boundary: what comes in as vectors becomes unit vectors, or is refused in one line."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from promolens_retrieval.spaces import Space
from promolens_runtime.errors import InputError

Halves = NDArray[np.float16]
Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

MAX_VECTORS_AT_ONCE = 1_000_000
_ROWS_AT_ONCE = 16_384
_KINDS = (np.float16, np.float32, np.float64)


@dataclass(frozen=True)
class Checked:
    """Vectors that may be stored.

    Attributes:
        units: float16 `[n, dim]`, of length 1 but for rounding.
        norms: float64 `[n]`, their lengths before.
    """

    units: Halves
    norms: Doubles


def checked(vectors: Any, space: Space) -> Checked:
    """Return `vectors` (`[n, dim]` of float16, float32 or float64) as unit vectors.

    Raises:
        InputError: NaN or infinity, a zero vector, another length, shape or dtype than expected.
    """
    doubles = _doubles(vectors, space, 2)
    norms = _norms(doubles)
    units = (doubles / norms[:, None]).astype(np.float16)
    return Checked(units, norms)


def checked_queries(queries: Any, space: Space) -> Doubles:
    """Return `queries` (`[m, dim]`) as unit vectors; raises InputError as `checked`."""
    doubles = _doubles(queries, space, 2)
    return np.asarray(doubles / _norms(doubles)[:, None], np.float64)


def checked_query(query: Any, space: Space) -> Doubles:
    """Return one query (`[dim]`) as a unit vector; raises InputError as `checked`."""
    doubles = _doubles(query, space, 1)
    squared = float(doubles @ doubles)
    # False for NaN too; the long way says what is wrong.
    usual = 1e-200 < squared < 1e200
    norm = math.sqrt(squared) if usual else float(_norms(doubles[None])[0])
    return doubles / norm


def cosines(query: Doubles, vectors: NDArray[Any], lengths: Doubles) -> Floats:
    """Return the cosine of a unit query `[dim]` with stored vectors `[n, dim]`, float32 in -1..1.

    Computed in doubles and rounded once, so that equal vectors have equal scores wherever they
    stand, on every backend, and none is above 1.

    Args:
        lengths: `[n]`, those of the vectors as they are stored (`stored_lengths`).
    """
    products: Doubles = vectors.astype(np.float64) @ query
    products /= lengths
    return products.astype(np.float32)


def stored_lengths(vectors: NDArray[Any]) -> Doubles:
    """Return the lengths `[n]` of stored vectors `[n, dim]`: 1 but for rounding."""
    found = np.empty(len(vectors), np.float64)
    for start in range(0, len(vectors), _ROWS_AT_ONCE):
        doubles = vectors[start : start + _ROWS_AT_ONCE].astype(np.float64)
        found[start : start + len(doubles)] = np.sqrt(np.einsum("ij,ij->i", doubles, doubles))
    return found


def _doubles(vectors: Any, space: Space, ndim: int) -> Doubles:
    array = np.asarray(vectors)
    shape = "[n, dim]" if ndim == 2 else "[dim]"
    if array.dtype.type not in _KINDS:
        raise InputError(
            f"Expected vectors of float16, float32 or float64. Received {array.dtype}. "
            "Convert them first."
        )
    if array.ndim != ndim:
        raise InputError(
            f"Expected vectors of shape {shape} with dim {space.dim}. Received {array.shape}. "
            "Reshape them."
        )
    if array.shape[-1] != space.dim:
        raise InputError(
            f"Expected vectors of {space.dim} numbers in {space}. Received {array.shape[-1]}. "
            "Use the space of their model."
        )
    if len(array) > MAX_VECTORS_AT_ONCE:
        raise InputError(
            f"Expected at most {MAX_VECTORS_AT_ONCE} vectors at once. Received {len(array)}. "
            "Give them in parts."
        )
    return array.astype(np.float64)


def _norms(doubles: Doubles) -> Doubles:
    # Of the largest number first: the square of 1e200 would be infinite.
    largest = np.abs(doubles).max(axis=1, initial=0.0)
    if not np.isfinite(largest).all():
        row = int(np.flatnonzero(~np.isfinite(largest))[0])
        raise InputError(
            f"Expected finite numbers. Received NaN or infinity in vector {row}. Embed it again."
        )
    if not largest.all():
        row = int(np.flatnonzero(largest == 0)[0])
        raise InputError(
            f"Expected vectors of some length. Received zeros only in vector {row}. "
            "Leave the picture out: it is too simple to match."
        )
    scaled = doubles / largest[:, None]
    norms = np.asarray(largest * np.sqrt(np.einsum("ij,ij->i", scaled, scaled)))
    if not np.isfinite(norms).all() or not (norms > 1e-300).all():
        raise InputError(
            "Expected vectors of a length between 1e-300 and 1e308. Received one beyond. "
            "Embed it again."
        )
    return norms
