"""From an embedding to eight bits and back to a cosine, the same in every language.

Each step is exact in IEEE arithmetic, so that clients in Python and in JavaScript order the same
pictures the same way: divisions and products of doubles, rounding as floor(x + 0.5), and whole
numbers for the dot product.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from promolens_runtime.errors import InputError

Floats = NDArray[np.float32]
Codes = NDArray[np.int8]
STEPS = 127
MAX_DIMENSIONS = 4096


def unit(embedding: NDArray[np.floating], centre: NDArray[np.floating] | None = None) -> Floats:
    """Return an embedding `[d]` or `[n, d]` at length 1, float32.

    With `centre` (float32 `[d]`, the mean of unit embeddings of one kind of pictures) it is taken
    off the unit embedding, which is then brought to length 1 again: that removes what all pictures
    of the kind have in common.

    Raises:
        InputError: NaN or infinity, no length, or another number of dimensions than the centre.
    """
    vectors = np.asarray(embedding, np.float64)
    if vectors.ndim not in (1, 2) or not 1 <= vectors.shape[-1] <= MAX_DIMENSIONS:
        raise InputError(
            f"Expected an embedding of 1 to {MAX_DIMENSIONS} numbers. Received the shape "
            f"{vectors.shape}. Embed the picture again."
        )
    vectors = _to_length_1(vectors)
    if centre is not None:
        if centre.shape != vectors.shape[-1:]:
            raise InputError(
                f"Expected an embedding of {centre.shape[0]} numbers, as the centre has. Received "
                f"{vectors.shape[-1]}. Use the model that the gallery was made with."
            )
        vectors = _to_length_1(vectors - np.asarray(centre, np.float64))
    return vectors.astype(np.float32)


def _to_length_1(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    if not np.isfinite(vectors).all():
        raise InputError(
            "Expected an embedding of finite numbers. Received NaN or infinity. "
            "Check the model with: promolens bundle verify"
        )
    lengths = np.sqrt(np.sum(vectors * vectors, axis=-1, keepdims=True))
    if not (lengths > 0).all():
        raise InputError(
            "Expected an embedding that points somewhere. Received one of length 0. "
            "The picture is probably of one colour: take another."
        )
    return np.asarray(vectors / lengths)


@dataclass(frozen=True)
class Quantised:
    """Vectors in eight bits: `codes * scales[:, None]` is about what they were.

    Attributes:
        codes: int8 `[n, d]`, -127..127.
        scales: float32 `[n]`, above 0.
    """

    codes: Codes
    scales: Floats


def quantise(vectors: Floats) -> Quantised:
    """Return float32 vectors `[n, d]` in eight bits, each with the scale that uses them fully.

    The scale is the largest absolute number of the vector over 127, rounded to float32.
    Raises InputError for a vector of zeros and for NaN.
    """
    largest = np.max(np.abs(vectors), axis=1)
    if not (np.isfinite(vectors).all() and (largest > 0).all()):
        raise InputError(
            "Expected vectors of finite numbers with a length. Received NaN, infinity or zeros. "
            "Embed the pictures again."
        )
    scales = (largest.astype(np.float64) / STEPS).astype(np.float32)
    exact = vectors.astype(np.float64) / scales.astype(np.float64)[:, None]
    codes = np.clip(np.floor(exact + 0.5), -STEPS, STEPS).astype(np.int8)
    return Quantised(codes, scales)


def cosines(query: Floats, gallery: Quantised) -> NDArray[np.float64]:
    """Return the cosine of one unit vector `[d]` with each vector of a gallery, float64 `[n]`.

    The query is brought to eight bits too. Dot products are whole numbers, then one product of
    doubles: `dot * (query scale * vector scale)`. Quantisation moves a cosine by about 0.004.

    Raises:
        InputError: another number of dimensions, NaN or zeros.
    """
    if query.shape != gallery.codes.shape[1:]:
        raise InputError(
            f"Expected an embedding of {gallery.codes.shape[1]} numbers. Received the shape "
            f"{query.shape}. Use the model that the gallery was made with."
        )
    small = quantise(query[None])
    # Sums of products below 2**24 are exact in float32; doubles hold all others.
    exact = np.float32 if len(query) * STEPS * STEPS < 2**24 else np.float64
    dots = (gallery.codes.astype(exact) @ small.codes[0].astype(exact)).astype(np.float64)
    return np.asarray(dots * (gallery.scales.astype(np.float64) * float(small.scales[0])))
