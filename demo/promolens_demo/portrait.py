"""The clean catalogue picture of a product: white ground, one soft light, the front."""

from __future__ import annotations

import numpy as np

from promolens_demo.arrays import Array
from promolens_demo.camera import Camera, look_at
from promolens_demo.catalogue import Product
from promolens_demo.fonts import CATALOGUE_RUN
from promolens_demo.lights import Light
from promolens_demo.render import draw_body
from promolens_demo.scenes import product_body, stand

PICTURE_PX = 600
_OVERSAMPLE = 2
_FOCAL_SHARE = 3.0  # focal length by picture side: far away, as in a studio
_FILL = 0.86


def catalogue_picture(product: Product) -> Array:
    """Draw a product as a shop's web page shows it; uint8 `[600, 600, 3]`, sRGB."""
    import cv2

    side_px = PICTURE_PX * _OVERSAMPLE
    body = product_body(product, CATALOGUE_RUN, np.zeros(3, np.float32), stand(product, 0.22))
    corners = body.corners()
    centre = corners.mean(axis=0)
    direction = np.array([0.0, 0.22, 1.0]) / np.hypot(0.22, 1.0)
    extent = float(np.ptp(corners[:, :2], axis=0).max())
    position = centre + direction * extent * _FOCAL_SHARE / _FILL
    axes = look_at(position, centre, 0.0)
    camera = Camera(side_px, side_px, side_px * _FOCAL_SHARE, position, axes)
    light = Light(
        np.array([0.35, 0.6, 0.72], np.float32),
        0.5,
        0.55,
        np.ones(3, np.float32),
        ((0.9, 0.2, 0.5),),
    )
    frame = np.ones((side_px, side_px, 3), np.float32)
    draw_body(frame, camera, body, light, 0.0)
    small = cv2.resize(frame, (PICTURE_PX, PICTURE_PX), interpolation=cv2.INTER_AREA)
    shown = np.clip(small, 0, 1) ** (1 / 2.2)
    return np.asarray((shown * 255 + 0.5).astype(np.uint8))
