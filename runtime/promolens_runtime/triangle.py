"""The resize "triangle-int22" written out in NumPy: slow, short, and the one that others copy.

It equals Pillow's BILINEAR for 8-bit pictures bit for bit (Pillow's Resample.c); a test proves it
on random sizes. Clients in other languages are written from this and from docs/preprocessing.md.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Weights = list[tuple[int, list[int]]]

FRACTION_BITS = 22
HALF = 1 << (FRACTION_BITS - 1)


def triangle_weights(source_px: int, target_px: int) -> Weights:
    """Return for each target pixel the first source pixel and the 22-bit integer weights.

    All real arithmetic is IEEE double, in the written order, without fused multiply-add.
    """
    scale = source_px / target_px
    support = max(scale, 1.0)
    inverse = 1.0 / support
    weights: Weights = []
    for target in range(target_px):
        center = (target + 0.5) * scale
        first = max(int(center - support + 0.5), 0)
        end = min(int(center + support + 0.5), source_px)
        parts = [max(0.0, 1.0 - abs((k - center + 0.5) * inverse)) for k in range(first, end)]
        total = 0.0
        for part in parts:
            total += part
        fixed = [math.floor(0.5 + part / total * (1 << FRACTION_BITS)) for part in parts]
        weights.append((first, fixed))
    return weights


def resize_rows(pixels: Pixels, target_px: int) -> Pixels:
    """Resize the second axis of uint8 [h, w, c] to `target_px`, rounding to uint8."""
    source = pixels.astype(np.int64)
    out = np.empty((pixels.shape[0], target_px, pixels.shape[2]), np.uint8)
    for target, (first, fixed) in enumerate(triangle_weights(pixels.shape[1], target_px)):
        window = source[:, first : first + len(fixed)]
        total = np.einsum("hwc,w->hc", window, np.array(fixed, np.int64)) + HALF
        out[:, target] = np.clip(total >> FRACTION_BITS, 0, 255)
    return out


def resize_reference(pixels: Pixels, width_px: int, height_px: int) -> Pixels:
    """Resize uint8 [h, w, c]: all rows first, rounded to uint8, then all columns."""
    rows = resize_rows(pixels, width_px)
    return resize_rows(rows.transpose(1, 0, 2), height_px).transpose(1, 0, 2)
