"""Solids that rays can hit: turned bodies, boxes and pillow bags.

Every solid stands on y = 0 in its own frame, centimetres, y up, front towards +z. `trace` takes
rays in that frame and says where they meet the solid, with which normal, and which point of the
wrapping (u to the right, v downward, both 0..1) is seen there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from promolens_demo.arrays import Array

_FAR = np.float32(1e6)


@dataclass(frozen=True)
class Hits:
    """Where rays meet a solid; arrays share the rays' shape `[h, w]`, float32.

    Attributes:
        mask: bool, the ray hits.
        normal: `[h, w, 3]`, outward, unit length where `mask`.
        u, v: place in the wrapping, 0..1.
    """

    mask: Array
    normal: Array
    u: Array
    v: Array


class Solid(Protocol):
    """What a scene can hold."""

    def corners(self) -> Array:
        """Return the eight corners of the bounding box, `[8, 3]`."""
        ...

    def trace(self, origin: Array, rays: Array) -> Hits:
        """Meet rays from `origin` (`[3]`) along `rays` (`[h, w, 3]`)."""
        ...


def _box_corners(half_x: float, height: float, half_z: float) -> Array:
    return np.array(
        [(x, y, z) for x in (-half_x, half_x) for y in (0.0, height) for z in (-half_z, half_z)],
        np.float32,
    )


@dataclass(frozen=True)
class Turned:
    """A solid of revolution about y.

    `profile` is a polyline of (radius, y) from the bottom's rim to the centre of the top; v runs
    along its length from the top (0) to the bottom (1), u around, 0.5 at the front. The bottom is
    open: nobody sees it.
    """

    profile: tuple[tuple[float, float], ...]

    def corners(self) -> Array:
        """Return the eight corners of the bounding box, `[8, 3]`."""
        radius = max(r for r, _ in self.profile)
        return _box_corners(radius, max(y for _, y in self.profile), radius)

    def lengths(self) -> Array:
        """Return v at each profile point."""
        points = np.array(self.profile)
        along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
        return np.asarray(1.0 - along / along[-1], np.float32)

    def trace(self, origin: Array, rays: Array) -> Hits:
        """Meet each conical or flat segment of the profile in turn and keep the nearest."""
        shape = rays.shape[:2]
        near = np.full(shape, _FAR, np.float32)
        v = np.zeros(shape, np.float32)
        slope = np.zeros(shape, np.float32)  # normal's y for its radial part 1; inf for a lid
        lengths = self.lengths()
        for index in range(len(self.profile) - 1):
            (r0, y0), (r1, y1) = self.profile[index : index + 2]
            if abs(y1 - y0) < 1e-6:
                t, share = _meet_disc(origin, rays, y0, r0, r1)
                tilt = np.float32(1e4)
            else:
                t, share = _meet_cone(origin, rays, r0, y0, (r1 - r0) / (y1 - y0), y1 - y0)
                tilt = np.float32(-(r1 - r0) / (y1 - y0))
            better = t < near
            near[better] = t[better]
            v[better] = lengths[index] + share[better] * (lengths[index + 1] - lengths[index])
            slope[better] = tilt
        mask = near < _FAR
        reach = np.where(mask, near, np.float32(0.0))
        x = origin[0] + rays[..., 0] * reach
        z = origin[2] + rays[..., 2] * reach
        around = np.sqrt(x * x + z * z) + np.float32(1e-6)
        scale = 1.0 / np.sqrt(1.0 + slope * slope)
        normal = np.stack([x / around * scale, slope * scale, z / around * scale], axis=-1)
        u = np.arctan2(x, z) * np.float32(0.5 / np.pi) + np.float32(0.5)
        return Hits(mask, normal, u, v)


def _meet_disc(
    origin: Array, rays: Array, y: float, outer: float, inner: float
) -> tuple[Array, Array]:
    # A level ray meets no level disc: its t is infinite, its radius not a number.
    with np.errstate(divide="ignore", invalid="ignore"):
        t = (np.float32(y) - origin[1]) / rays[..., 1]
        x = origin[0] + rays[..., 0] * t
        z = origin[2] + rays[..., 2] * t
        radius = np.sqrt(x * x + z * z)
    low, high = min(outer, inner), max(outer, inner)
    good = (t > 0) & (radius >= low) & (radius <= high)
    share = (radius - outer) / np.float32(inner - outer if inner != outer else 1.0)
    return np.where(good, t, _FAR), share


def _meet_cone(
    origin: Array, rays: Array, r0: float, y0: float, k: float, rise: float
) -> tuple[Array, Array]:
    """Meet x^2 + z^2 = (r0 + k (y - y0))^2 between y0 and y0 + rise, from outside."""
    ox, oy, oz = (np.float32(value) for value in origin)
    dx, dy, dz = rays[..., 0], rays[..., 1], rays[..., 2]
    start = np.float32(r0) + np.float32(k) * (oy - np.float32(y0))
    a = dx * dx + dz * dz - np.float32(k * k) * dy * dy
    half_b = ox * dx + oz * dz - np.float32(k) * start * dy
    c = ox * ox + oz * oz - start * start
    inside = half_b * half_b - a * c
    with np.errstate(divide="ignore", invalid="ignore"):
        t = (-half_b - np.sqrt(np.maximum(inside, 0))) / a
        share = (oy + dy * t - np.float32(y0)) / np.float32(rise)
    good = (inside > 0) & (t > 0) & (share >= 0) & (share <= 1)
    return np.where(good, t, _FAR), share


@dataclass(frozen=True)
class Carton:
    """A box; its wrapping is an atlas of faces.

    The atlas is `2 (wide + deep)` by `high + deep` centimetres: front, right, back, left in the
    upper row, top and bottom under front and right.
    """

    wide: float
    high: float
    deep: float

    def corners(self) -> Array:
        """Return the eight corners of the bounding box, `[8, 3]`."""
        return _box_corners(self.wide / 2, self.high, self.deep / 2)

    def trace(self, origin: Array, rays: Array) -> Hits:
        """Meet the slabs (Kay & Kajiya 1986) and look the face up in the atlas."""
        low = np.array([-self.wide / 2, 0.0, -self.deep / 2], np.float32)
        high = np.array([self.wide / 2, self.high, self.deep / 2], np.float32)
        safe = np.where(np.abs(rays) < 1e-9, np.float32(1e-9), rays)
        first, second = (low - origin) / safe, (high - origin) / safe
        enter = np.minimum(first, second)
        leave = np.maximum(first, second).min(axis=-1)
        axis = enter.argmax(axis=-1)
        t = enter.max(axis=-1)
        mask = (t < leave) & (t > 0)
        point = origin + rays * t[..., None]
        positive = np.take_along_axis(rays, axis[..., None], -1)[..., 0] < 0
        normal = np.zeros_like(rays)
        np.put_along_axis(normal, axis[..., None], np.where(positive, 1.0, -1.0)[..., None], -1)
        u, v = self._atlas(point, axis, positive)
        return Hits(mask, normal, u, v)

    def _atlas(self, point: Array, axis: Array, positive: Array) -> tuple[Array, Array]:
        x = point[..., 0] + self.wide / 2
        z = point[..., 2] + self.deep / 2
        down = self.high - point[..., 1]
        wide, deep = self.wide, self.deep
        front, back = x, wide + deep + (wide - x)
        right, left = wide + (deep - z), 2 * wide + deep + z
        top, bottom = x, wide + x
        across = np.select(
            [axis == 2, axis == 0, axis == 1],
            [
                np.where(positive, front, back),
                np.where(positive, right, left),
                np.where(positive, top, bottom),
            ],
        )
        below = np.where(axis == 1, self.high + z, down)
        return (
            (across / (2 * (wide + deep))).astype(np.float32),
            (below / (self.high + deep)).astype(np.float32),
        )


@dataclass(frozen=True)
class Pillow:
    """A bag: a flat outline, bulging towards the front, with creases; its back is not drawn.

    `creases` are (x, y, angle, depth) in shares of the bag and radians: soft ridges.
    """

    wide: float
    high: float
    bulge: float
    creases: tuple[tuple[float, float, float, float], ...] = ()

    def corners(self) -> Array:
        """Return the eight corners of the bounding box, `[8, 3]`."""
        return _box_corners(self.wide / 2, self.high, self.bulge)

    def _relief(self, x: Array, y: Array) -> Array:
        """Height of the front above its outline's plane, in centimetres."""
        p = np.clip(np.abs(x / (self.wide / 2)), 0, 1)
        q = np.clip(np.abs(y / (self.high / 2) - 1), 0, 1)
        body = (1 - p**2.6) * (1 - np.clip(q / 0.9, 0, 1) ** 4)
        height = self.bulge * body
        for cx, cy, angle, depth in self.creases:
            dx, dy = x / self.wide - cx, y / self.high - cy
            across = dx * np.cos(angle) + dy * np.sin(angle)
            along = dy * np.cos(angle) - dx * np.sin(angle)
            height = height + depth * body * np.exp(-((across / 0.04) ** 2) - (along / 0.25) ** 2)
        return np.asarray(height, np.float32)

    def trace(self, origin: Array, rays: Array) -> Hits:
        """Meet the relief by fixed-point steps; enough for views within 60 degrees of the front."""
        dz = np.minimum(rays[..., 2], np.float32(-1e-4))
        t = -origin[2] / dz
        for _ in range(4):
            x, y = origin[0] + rays[..., 0] * t, origin[1] + rays[..., 1] * t
            t = (self._relief(x, y) - origin[2]) / dz
        x, y = origin[0] + rays[..., 0] * t, origin[1] + rays[..., 1] * t
        mask = (np.abs(x) <= self.wide / 2) & (y >= 0) & (y <= self.high) & (t > 0)
        mask &= rays[..., 2] < -1e-4
        step = np.float32(0.12)
        height = self._relief(x, y)
        slope_x = (self._relief(x + step, y) - height) / step
        slope_y = (self._relief(x, y + step) - height) / step
        scale = 1.0 / np.sqrt(1.0 + slope_x * slope_x + slope_y * slope_y)
        normal = np.stack([-slope_x * scale, -slope_y * scale, scale], axis=-1)
        u = (x / self.wide + 0.5).astype(np.float32)
        return Hits(mask, normal.astype(np.float32), u, (1 - y / self.high).astype(np.float32))
