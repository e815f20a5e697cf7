"""Small JPEG pictures as data URIs, so that a page needs no other file."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from promolens_runtime.errors import ImageError
from promolens_runtime.images import load_rgb
from promolens_training.data.photos import Photo
from promolens_training.report.content import Picture

THUMBNAIL_PX = 160
JPEG_QUALITY = 78


def thumbnail(
    source: Photo | Path | NDArray[np.uint8], alt: str, side_px: int = THUMBNAIL_PX
) -> Picture:
    """Return a picture whose longer side is at most `side_px`, as JPEG of some 3 to 10 kB.

    A photo's box is cut out; a file that cannot be decoded becomes a grey square, because a report
    must not die of a picture. uint8 `[h, w, 3]` is taken as it is.
    """
    from PIL import Image

    picture = Image.fromarray(_pixels(source, side_px))
    picture.thumbnail((side_px, side_px), Image.Resampling.BILINEAR)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=JPEG_QUALITY, optimize=True)
    encoded = base64.b64encode(buffer.getvalue()).decode()
    return Picture(f"data:image/jpeg;base64,{encoded}", alt)


def _pixels(source: Photo | Path | NDArray[np.uint8], side_px: int) -> NDArray[np.uint8]:
    if isinstance(source, np.ndarray):
        return source
    path = source.path if isinstance(source, Photo) else source
    box = source.box if isinstance(source, Photo) else None
    try:
        rgb = load_rgb(path, min_short_px=None if box else side_px)
    except ImageError:
        return np.full((side_px, side_px, 3), 128, np.uint8)
    if box is not None:
        left, top, right, bottom = box
        rgb = rgb[top:bottom, left:right]
    return np.ascontiguousarray(rgb)
