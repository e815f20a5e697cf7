"""What a picture looks like in a few hundred bytes: for finding near-duplicates and bursts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from promolens_runtime.errors import ImageError
from promolens_runtime.images import Pixels, load_rgb

_SIDE_PX = 96
_LUMA_BINS, _CHROMA_BINS = 6, 16
_CHROMA_FROM, _CHROMA_TO = 80, 176  # almost all photos' Cb and Cr lie here; the rest is clipped


@dataclass(frozen=True, eq=False)
class Fingerprint:
    """A picture's look.

    Attributes:
        phash: 64 perceptual hash bits, bool `[64]`.
        colours: square roots of a YCbCr histogram, float32 `[1536]`, of length 1: the dot product
            of two is their Bhattacharyya coefficient.
    """

    phash: NDArray[np.bool_]
    colours: NDArray[np.float32]


def _colours(ycbcr: Pixels) -> NDArray[np.float32]:
    values = ycbcr.reshape(-1, 3).astype(np.int64)
    luma = values[:, 0] * _LUMA_BINS // 256
    chroma = (values[:, 1:] - _CHROMA_FROM) * _CHROMA_BINS // (_CHROMA_TO - _CHROMA_FROM)
    chroma = chroma.clip(0, _CHROMA_BINS - 1)
    bins = (luma * _CHROMA_BINS + chroma[:, 0]) * _CHROMA_BINS + chroma[:, 1]
    counts = np.bincount(bins, minlength=_LUMA_BINS * _CHROMA_BINS**2)
    return np.asarray(np.sqrt(counts / counts.sum()), np.float32)


def fingerprint(rgb: Pixels) -> Fingerprint:
    """Fingerprint an upright picture, uint8 `[h, w, 3]`.

    The hash is imagehash's `phash` (a DCT of the 32 x 32 grey picture, bits above the median), on
    the picture squeezed to a square.
    """
    import imagehash
    from PIL import Image

    small = Image.fromarray(rgb).resize((_SIDE_PX, _SIDE_PX), Image.Resampling.BOX)
    bits = np.asarray(imagehash.phash(small).hash, bool).ravel()
    return Fingerprint(bits, _colours(np.asarray(small.convert("YCbCr"))))


def fingerprint_file(
    path: Path, box: tuple[int, int, int, int] | None = None
) -> Fingerprint | None:
    """Fingerprint a file (the region `box` of it), None where it cannot be decoded."""
    try:
        rgb = load_rgb(path, min_short_px=None if box else 2 * _SIDE_PX)
    except ImageError:
        return None
    if box:
        rgb = rgb[box[1] : box[3], box[0] : box[2]]
    return fingerprint(rgb) if rgb.size else None


def hamming(bits: NDArray[np.bool_]) -> NDArray[np.int16]:
    """Return the distances between all pairs of rows of bool `[n, 64]` as int16 `[n, n]`."""
    signs = bits.astype(np.float32) * 2.0 - 1.0
    return np.asarray(np.rint((bits.shape[1] - signs @ signs.T) / 2.0), np.int16)
