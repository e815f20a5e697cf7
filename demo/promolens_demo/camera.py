"""A pinhole camera: where things are in the picture, and which ray a pixel looks along."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from promolens_demo.arrays import Array


@dataclass(frozen=True)
class Camera:
    """A camera in the world (centimetres, y up).

    Attributes:
        wide_px, high_px: size of the picture.
        focal_px: focal length in pixels.
        position: `[3]`.
        axes: `[3, 3]`, rows right, up, forward; unit length.
    """

    wide_px: int
    high_px: int
    focal_px: float
    position: Array
    axes: Array

    def project(self, points: Array) -> tuple[Array, Array]:
        """Return pixel places `[n, 2]` and depths `[n]` (cm, along the view) of points `[n, 3]`."""
        seen = (points - self.position) @ self.axes.T
        depth = np.maximum(seen[:, 2], 0.1)
        x = self.wide_px / 2 + self.focal_px * seen[:, 0] / depth
        y = self.high_px / 2 - self.focal_px * seen[:, 1] / depth
        return np.stack([x, y], axis=1), depth

    def rays(self, left: int, top: int, right: int, bottom: int) -> Array:
        """Return the directions `[h, w, 3]` that the pixels of a window look along; depth 1."""
        x = (np.arange(left, right, dtype=np.float32) + 0.5 - self.wide_px / 2) / self.focal_px
        y = (np.arange(top, bottom, dtype=np.float32) + 0.5 - self.high_px / 2) / self.focal_px
        right_axis, up, forward = (axis.astype(np.float32) for axis in self.axes)
        rays = x[None, :, None] * right_axis - y[:, None, None] * up + forward
        return np.asarray(rays, np.float32)


def look_at(position: Array, target: Array, roll_rad: float) -> Array:
    """Return the axes of a camera at `position` that sees `target` in its centre."""
    forward = (target - position) / np.linalg.norm(target - position)
    right = np.cross(forward, np.array([0.0, 1.0, 0.0]))
    right /= np.linalg.norm(right)
    up = np.cross(right, forward)
    cosine, sine = np.cos(roll_rad), np.sin(roll_rad)
    return np.stack([cosine * right + sine * up, cosine * up - sine * right, forward])
