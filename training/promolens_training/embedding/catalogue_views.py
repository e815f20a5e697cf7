"""Views of a catalogue picture: nearly as it is, or pasted into a shop as a phone might see it.

A catalogue picture shows a product alone before white; a shopper's photo shows it small, tilted,
in a hand, among others. Cutting the product out and pasting it onto other photos gives examples of
the same product in both worlds ("Cut, Paste and Learn", Dwibedi et al. 2017, arXiv 1708.01642).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from promolens_training.augment import Pixels, Rng, augment
from promolens_training.recipes import STRONG, Augmentation

# A border pixel at least this light in every channel belongs to the white background.
WHITE = 245
LIGHT = Augmentation(
    min_area=0.8,
    max_aspect=1.1,
    rotate_deg=4.0,
    perspective=0.02,
    exposure=0.1,
    contrast=0.1,
    gamma=0.1,
    white_balance=0.03,
    blur=0.2,
    noise=0.0,
    jpeg=0.2,
    erase=0.0,
)
"""What differs between two catalogue pictures of one product: cut, tone, compression."""


@dataclass(frozen=True)
class Pasting:
    """How a cut-out product is put onto a background.

    Attributes:
        min_side, max_side: height of the product as a share of the picture's side.
        rotate_deg: largest rotation either way; perspective: largest shift of a corner, as a
            share of the product's side; shift: largest distance from the middle, as a share.
    """

    min_side: float = 0.55
    max_side: float = 1.1
    rotate_deg: float = 30.0
    perspective: float = 0.1
    shift: float = 0.15


def product_mask(pixels: Pixels) -> npt.NDArray[np.uint8]:
    """Return 255 on the product and 0 on the white background that touches the border.

    Args:
        pixels: uint8 `[h, w, 3]` RGB. White inside the product is kept, for it is not connected
            with the border.

    Returns:
        uint8 `[h, w]`; all 255 where the background is not white.
    """
    import cv2

    light = (pixels.min(axis=2) >= WHITE).astype(np.uint8)
    _, parts = cv2.connectedComponents(light, connectivity=4)
    border = np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]])
    outside = np.isin(parts, border[border > 0])
    mask = np.where(outside, 0, 255).astype(np.uint8)
    # A fringe of half-white pixels would give the cut-out away.
    return np.asarray(cv2.erode(mask, np.ones((3, 3), np.uint8)), np.uint8)


def bounding_box(mask: npt.NDArray[np.uint8]) -> tuple[int, int, int, int]:
    """Return top, bottom, left, right of the non-zero part; the whole where there is none."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return 0, mask.shape[0], 0, mask.shape[1]
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def _target_corners(rng: Rng, aspect: float, px: int, config: Pasting) -> npt.NDArray[np.float32]:
    height = rng.uniform(config.min_side, config.max_side) * px
    half = 0.5 * np.array([height * aspect, height])
    angle = np.deg2rad(rng.uniform(-config.rotate_deg, config.rotate_deg))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half
    corners += rng.uniform(-1, 1, (4, 2)) * config.perspective * 2 * half
    centre = px / 2 + rng.uniform(-1, 1, 2) * config.shift * px
    return np.asarray(centre + corners @ turn.T, np.float32)


def paste(
    pixels: Pixels,
    mask: npt.NDArray[np.uint8],
    background: Pixels,
    rng: Rng,
    config: Pasting,
) -> Pixels:
    """Put the masked product onto a background at a random place, size and tilt.

    Args:
        pixels: uint8 `[h, w, 3]`; mask: uint8 `[h, w]`, 255 on the product.
        background: uint8 `[px, px, 3]`, not changed.

    Returns:
        uint8 `[px, px, 3]`.
    """
    import cv2

    top, bottom, left, right = bounding_box(mask)
    px = background.shape[0]
    target = _target_corners(rng, (right - left) / (bottom - top), px, config)
    source = np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float32)
    matrix = cv2.getPerspectiveTransform(source, target)
    warped: Any = cv2.warpPerspective(pixels, matrix, (px, px), flags=cv2.INTER_LINEAR)
    alpha: Any = cv2.warpPerspective(mask, matrix, (px, px), flags=cv2.INTER_LINEAR)
    share = alpha[..., None].astype(np.float32) / 255
    return np.asarray(np.rint(share * warped + (1 - share) * background), np.uint8)


def pasted_view(pixels: Pixels, background: Pixels, rng: Rng, px: int) -> Pixels:
    """Return a synthetic shop photo of a catalogue picture's product, uint8 `[px, px, 3]`.

    Args:
        pixels: catalogue picture uint8 `[side, side, 3]`; background: a photo of the same size.
        rng: the only source of randomness.
    """
    scene = paste(pixels, product_mask(pixels), background, rng, Pasting())
    # The camera's part: geometry was drawn with the paste.
    camera = Augmentation(**{**_plain(STRONG), "min_area": 0.8, "rotate_deg": 5.0})
    return augment(scene, rng, px, camera)


def catalogue_view(pixels: Pixels, rng: Rng, px: int) -> Pixels:
    """Return a lightly changed catalogue picture, uint8 `[px, px, 3]`."""
    return augment(pixels, rng, px, LIGHT)


def _plain(config: Augmentation) -> dict[str, float]:
    return {name: getattr(config, name) for name in config.__dataclass_fields__}
