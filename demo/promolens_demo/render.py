"""Draw solids and rooms through a camera: ray hits, print, light, shadow. All linear light."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image

from promolens_demo.arrays import Array
from promolens_demo.camera import Camera
from promolens_demo.catalogue import Product
from promolens_demo.lights import Light
from promolens_demo.materials import TILE_PX
from promolens_demo.packages import wrapping
from promolens_demo.shapes import Solid

_LEVELS = 4
SRGB_TO_LINEAR: Array = ((np.arange(256) / 255.0) ** 2.2).astype(np.float32)


@dataclass(frozen=True)
class Body:
    """A solid somewhere in the world, wrapped.

    Attributes:
        levels: the wrapping and its halvings, uint8 `[h, w, 3]` each.
        gloss: 0..1.
        position: `[3]`, where its foot's centre is.
        turn: `[3, 3]`, from its own axes to the world's.
    """

    solid: Solid
    levels: tuple[Array, ...]
    gloss: float
    position: Array
    turn: Array

    def corners(self) -> Array:
        """Return the bounding box's corners in the world, `[8, 3]`."""
        return np.asarray(self.solid.corners() @ self.turn.T + self.position)


@dataclass(frozen=True)
class Room:
    """A floor y = 0 up to a wall z = -`depth_cm`.

    Attributes:
        floor, wall: tiles, uint8; no floor in a room that is all background.
        edge_cm: where a shelf's board ends towards the camera; None for no end.
    """

    floor: Array | None
    wall: Array
    depth_cm: float
    floor_px_cm: float
    wall_px_cm: float
    offset_px: tuple[float, float]
    edge_cm: float | None


def rotation(yaw: float, pitch: float = 0.0, roll: float = 0.0) -> Array:
    """Turn about y, then x, then z (radians); `[3, 3]` float32."""
    cy, sy, cp, sp, cr, sr = (
        float(f(angle)) for angle in (yaw, pitch, roll) for f in (np.cos, np.sin)
    )
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return np.asarray(about_z @ about_x @ about_y, np.float32)


def halvings(picture: Image.Image) -> tuple[Array, ...]:
    """Return a picture and its reductions by 2, 4 and 8, against shimmer in small views."""
    levels = [np.asarray(picture)]
    levels += [np.asarray(picture.reduce(2**k)) for k in range(1, _LEVELS)]
    return tuple(levels)


@lru_cache(maxsize=48)
def print_levels(product: Product, face: str) -> tuple[Array, ...]:
    """Return the halvings of a product's wrapping; kept for the next photo."""
    return halvings(wrapping(product, face))


def _window(camera: Camera, corners: Array, margin_px: int) -> tuple[int, int, int, int] | None:
    places, _ = camera.project(corners)
    left, top = np.floor(places.min(axis=0)).astype(int) - margin_px
    right, bottom = np.ceil(places.max(axis=0)).astype(int) + margin_px
    left, top = max(0, int(left)), max(0, int(top))
    right, bottom = min(camera.wide_px, int(right)), min(camera.high_px, int(bottom))
    return (left, top, right, bottom) if right - left > 2 and bottom - top > 2 else None


def _print_at(body: Body, u: Array, v: Array, shown_px: float) -> Array:
    """Look the print up at the level whose height fits the height on screen."""
    import cv2

    ratio = body.levels[0].shape[0] / max(1.0, shown_px)
    level = int(np.clip(np.floor(np.log2(max(ratio, 1.0)) + 0.25), 0, len(body.levels) - 1))
    tile = body.levels[level]
    map_x = (u * tile.shape[1] - 0.5).astype(np.float32)
    map_y = (v * tile.shape[0] - 0.5).astype(np.float32)
    seen = cv2.remap(tile, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(SRGB_TO_LINEAR[np.asarray(seen, np.uint8)])


def shade(albedo: Array, normal: Array, rays: Array, light: Light, gloss: float) -> Array:
    """Light a surface: Lambert with a soft terminator, sky from above, mirrored lamps."""
    facing = normal @ light.direction
    diffuse = light.key * np.clip(facing * 0.85 + 0.15, 0, None)
    sky = light.ambient * (0.72 + 0.28 * normal[..., 1])
    colour = albedo * (diffuse + sky)[..., None]
    if gloss > 0:
        unit = rays / np.sqrt((rays * rays).sum(axis=-1, keepdims=True))
        cosine = (unit * normal).sum(axis=-1)
        mirrored = unit - 2 * cosine[..., None] * normal
        azimuth = np.arctan2(mirrored[..., 0], mirrored[..., 2])
        upward = np.clip(mirrored[..., 1] * 0.8 + 0.5, 0, 1)
        fresnel = gloss * (0.25 + 0.75 * (1 - np.clip(-cosine, 0, 1)) ** 3)
        shine = np.zeros_like(cosine)
        for centre, half_width, strength in light.strips:
            shine += strength * np.exp(-(((azimuth - centre) / half_width) ** 2))
        colour += (fresnel * (shine * upward + 0.12 * light.ambient))[..., None]
    return np.asarray(colour, np.float32)


def draw_body(frame: Array, camera: Camera, body: Body, light: Light, blur_px: float) -> None:
    """Draw a body over `frame` (float32 `[h, w, 3]`, in place), out of focus by `blur_px`."""
    import cv2

    window = _window(camera, body.corners(), 3 + int(3 * blur_px))
    if window is None:
        return
    left, top, right, bottom = window
    rays = camera.rays(*window)
    turn = body.turn
    origin = ((camera.position - body.position) @ turn).astype(np.float32)
    hits = body.solid.trace(origin, rays @ turn)
    if not hits.mask.any():
        return
    places, _ = camera.project(body.corners())
    shown_px = float(np.ptp(places, axis=0).max())
    albedo = _print_at(body, hits.u, hits.v, shown_px)
    colour = shade(albedo, hits.normal @ turn.T, rays, light, body.gloss)
    mask = hits.mask.astype(np.float32)[..., None]
    layer = np.concatenate([colour * mask, mask], axis=-1)
    # The blur is also what smooths the outline: a sample a pixel would leave it jagged.
    layer = cv2.GaussianBlur(layer, (0, 0), max(0.45, blur_px))
    view = frame[top:bottom, left:right]
    view *= 1 - layer[..., 3:]
    view += layer[..., :3]


def draw_room(camera: Camera, room: Room, light: Light, shades: list[tuple[Array, float]]) -> Array:
    """Draw floor and wall with soft shadows.

    Args:
        shades: what stands on the floor: (foot's centre `[3]`, radius in cm).

    Returns:
        float32 `[h, w, 3]`, linear.
    """
    rays = camera.rays(0, 0, camera.wide_px, camera.high_px)
    ox, oy, oz = (np.float32(value) for value in camera.position)
    dx, dy, dz = rays[..., 0], np.minimum(rays[..., 1], -1e-4), np.minimum(rays[..., 2], -1e-3)
    t_wall = (np.float32(-room.depth_cm) - oz) / dz
    wall = _tile_at(
        room.wall, (ox + dx * t_wall), -(oy + rays[..., 1] * t_wall), room.wall_px_cm, room
    )
    frame = wall * np.float32(light.ambient + 0.55 * light.key)
    if room.floor is None:
        return np.asarray(frame, np.float32)
    t_floor = -oy / dy
    x, z = ox + dx * t_floor, oz + dz * t_floor
    on_floor = (rays[..., 1] < -1e-4) & (t_floor < t_wall)
    floor = _tile_at(room.floor, x, z, room.floor_px_cm, room)
    floor = floor * _floor_light(x, z, shades, light)[..., None]
    if room.edge_cm is not None:
        floor[z > room.edge_cm] *= 0.18
    frame = np.where(on_floor[..., None], floor, frame)
    # Where wall and floor meet, less light arrives.
    near_wall = np.abs(np.where(on_floor, z + room.depth_cm, oy + rays[..., 1] * t_wall))
    frame *= (1 - 0.35 * np.exp(-near_wall / (0.12 * room.depth_cm)))[..., None]
    return np.asarray(frame, np.float32)


def _tile_at(tile: Array, x: Array, y: Array, px_cm: float, room: Room) -> Array:
    import cv2

    map_x = x * np.float32(px_cm / TILE_PX) + np.float32(room.offset_px[0] / TILE_PX)
    map_y = y * np.float32(px_cm / TILE_PX) + np.float32(room.offset_px[1] / TILE_PX)
    # The fraction by floor: np.mod on floats takes several times as long.
    map_x = (map_x - np.floor(map_x)) * np.float32(TILE_PX)
    map_y = (map_y - np.floor(map_y)) * np.float32(TILE_PX)
    seen = cv2.remap(tile, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    return np.asarray(SRGB_TO_LINEAR[np.asarray(seen, np.uint8)])


def _floor_light(x: Array, z: Array, shades: list[tuple[Array, float]], light: Light) -> Array:
    """Light on the floor, at a quarter of the resolution: shadows are soft."""
    import cv2

    x, z = x[::4, ::4], z[::4, ::4]
    key = light.key * max(0.15, float(light.direction[1]))
    lit = light.ambient * _contact(x, z, shades) + key * _cast(x, z, shades, light)
    return np.asarray(cv2.resize(lit.astype(np.float32), None, fx=4, fy=4))


def _contact(x: Array, z: Array, shades: list[tuple[Array, float]]) -> Array:
    """Share of the sky that the floor still sees, near what stands on it."""
    open_sky = np.ones_like(x)
    for foot, radius in shades:
        distance = np.sqrt((x - foot[0]) ** 2 + (z - foot[2]) ** 2)
        open_sky *= 1 - 0.6 * np.exp(-np.clip(distance / radius - 0.9, 0, None) * 2.2)
    return open_sky


def _cast(x: Array, z: Array, shades: list[tuple[Array, float]], light: Light) -> Array:
    """Share of the key light that reaches the floor past upright things."""
    flat = light.direction[[0, 2]]
    reach = float(np.linalg.norm(flat)) / max(0.2, float(light.direction[1]))
    away = -flat / (np.linalg.norm(flat) + 1e-6)
    reached = np.ones_like(x)
    for foot, radius in shades:
        dx, dz = x - foot[0], z - foot[2]
        along = np.clip(dx * away[0] + dz * away[1], 0, reach * radius * 3)
        distance = np.sqrt((dx - along * away[0]) ** 2 + (dz - along * away[1]) ** 2)
        penumbra = 0.15 + 0.08 * along / radius
        reached *= 1 - 0.8 / (1 + np.exp(np.clip((distance / radius - 1) / penumbra * 2, -30, 30)))
    return reached
