"""Photos as one array of equal squares: what every epoch reads instead of JPEG files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from promolens_runtime.images import load_rgb
from promolens_runtime.preprocess import Preprocessing, preprocess
from promolens_training.data.photos import Photo

Pixels = npt.NDArray[np.uint8]

# Room for crops and rotations: a random window of the cached square still has about the input's
# resolution.
CACHE_MARGIN = 1.15
WORKERS = 2


def read_photo(photo: Photo, px: int) -> Pixels:
    """Decode one photo exactly as every client does; uint8 `[px, px, 3]` RGB."""
    rgb = load_rgb(photo.path, min_short_px=2 * px if photo.box is None else None)
    if photo.box is not None:
        x1, y1, x2, y2 = photo.box
        rgb = rgb[y1:y2, x1:x2]
    return preprocess(rgb, Preprocessing.square(px))


def load_pixels(
    photos: Sequence[Photo], px: int, done: Callable[[int], object] = lambda _: None
) -> Pixels:
    """Decode photos into uint8 `[n, px, px, 3]`; `done(1)` is called after each.

    Raises:
        ImageError: a file cannot be decoded within the limits.
    """
    pixels = np.empty((len(photos), px, px, 3), np.uint8)

    def fill(index: int) -> None:
        pixels[index] = read_photo(photos[index], px)
        done(1)

    with ThreadPoolExecutor(WORKERS) as pool:
        for _ in pool.map(fill, range(len(photos))):
            pass
    return pixels
