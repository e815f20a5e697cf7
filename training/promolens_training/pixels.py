"""Photos as one array of equal squares: what every epoch reads instead of JPEG files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from promolens_runtime.preprocess import Preprocessing
from promolens_training.data.photos import Photo
from promolens_training.evaluation.predictions import input_tensor

Pixels = npt.NDArray[np.uint8]

# Room for crops and rotations: a random window of the cached square still has about the input's
# resolution.
CACHE_MARGIN = 1.15
WORKERS = 2


def load_pixels(
    photos: Sequence[Photo], px: int, done: Callable[[int], object] = lambda _: None
) -> Pixels:
    """Decode photos into uint8 `[n, px, px, 3]`; `done(1)` is called after each.

    Raises:
        ImageError: a file cannot be decoded within the limits.
    """
    rule = Preprocessing.square(px)
    pixels = np.empty((len(photos), px, px, 3), np.uint8)

    def fill(index: int) -> None:
        pixels[index] = input_tensor(photos[index], rule)
        done(1)

    with ThreadPoolExecutor(WORKERS) as pool:
        for _ in pool.map(fill, range(len(photos))):
            pass
    return pixels
