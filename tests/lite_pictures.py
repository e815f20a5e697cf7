"""Six pictures by formula, the same on every machine, to compare two networks on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def pictures(side_px: int) -> NDArray[np.uint8]:
    """Return uint8 `[6, side, side, 3]`: ramp, rings, checkers, disc, stripes and noise.

    Integer arithmetic only, so that no library version or processor changes a pixel.
    """
    y, x = np.mgrid[0:side_px, 0:side_px].astype(np.int64)
    middle = side_px // 2
    radius2 = (x - middle) ** 2 + (y - middle) ** 2
    ramp = np.stack([x * 255 // side_px, y * 255 // side_px, (x + y) * 127 // side_px], -1)
    rings = np.stack([radius2 // 40 % 256, radius2 // 60 % 256, 255 - radius2 // 40 % 256], -1)
    checkers = np.stack([(x // 16 + y // 16) % 2 * 230] * 3, -1) + np.array([20, 0, 10])
    inside = (radius2 < (side_px * 2 // 5) ** 2)[..., None]
    disc = np.where(inside, [230, 130, 20], np.stack([200 - y * 120 // side_px] * 3, -1))
    stripes = np.where(((x * 3 + y) // 24 % 2 == 0)[..., None], [190, 20, 40], [245, 240, 225])
    # A multiplicative hash of the coordinates: looks like noise to a network.
    seeds = (y * 7919 + x)[..., None] * 3 + np.arange(3)
    noise = (seeds * 2654435761 % 2**32) >> 24
    stack = np.stack([ramp, rings, checkers, disc, stripes, noise])
    return stack.astype(np.uint8)
