"""Take one phone photo of a product: arrange, draw, expose, and wear it like a real one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from promolens_demo.arrays import Array
from promolens_demo.camera import Camera, look_at
from promolens_demo.catalogue import Product
from promolens_demo.fonts import PRINT_RUNS
from promolens_demo.hand import SKINS, SLEEVES, draw_limb, holding_hand
from promolens_demo.lens import wear
from promolens_demo.lights import LIGHTS, Light, draw_light
from promolens_demo.paint import mix
from promolens_demo.render import SRGB_TO_LINEAR, Body, Room, draw_body, draw_room, rotation
from promolens_demo.scenes import (
    SCENES,
    SceneKind,
    half_extent,
    make_room,
    place_clutter,
    place_neighbours,
    price_rail,
    product_body,
    stand,
)
from promolens_demo.seeds import stream

LONG_PX, SHORT_PX = 640, 480
PHOTOS_A_VISIT = 2


@dataclass(frozen=True)
class Visit:
    """One occasion at one place in one light, during which several products are photographed."""

    name: str
    scene: SceneKind
    light: Light
    room_seed: int


def visit_of(seed: int, split: str, index: int) -> Visit:
    """Return the visit that photo `index` (0, 1 ...) of every product of a split belongs to."""
    number = index // PHOTOS_A_VISIT
    rng = stream(seed, "visit", split, number)
    names = tuple(SCENES[split])
    # Taking the places in turn keeps any few visits from being all of one kind.
    name = names[(number + seed) % len(names)]
    kinds = tuple(LIGHTS[split].values())
    light = draw_light(kinds[int(rng.integers(len(kinds)))], rng)
    room_seed = int(rng.integers(1 << 31))
    return Visit(f"{split}-{number:03d}-{name}", SCENES[split][name], light, room_seed)


def _fit_camera(
    body: Body, fill: float, size: tuple[int, int], rng: np.random.Generator, *, held: bool
) -> Camera:
    """Place a camera so that the body spans `fill` of the short side, near the centre."""
    wide_px, high_px = size
    focal_px = float(rng.uniform(520, 950))
    azimuth = float(rng.uniform(-0.45, 0.45))
    height = float(rng.uniform(-0.05, 0.35) if held else rng.uniform(0.02, 0.5))
    corners = body.corners()
    centre = corners.mean(axis=0)
    direction = np.array(
        [np.sin(azimuth) * np.cos(height), np.sin(height), np.cos(azimuth) * np.cos(height)]
    )
    roll = float(np.clip(rng.normal(0, 0.09), -0.35, 0.35))

    def seen_from(distance: float) -> tuple[Camera, Array]:
        position = centre + direction * distance
        camera = Camera(wide_px, high_px, focal_px, position, look_at(position, centre, roll))
        return camera, camera.project(corners)[0]

    short_px = min(size)
    distance = 30.0
    for _ in range(4):
        extent_px = float(np.ptp(seen_from(distance)[1], axis=0).max())
        distance = max(distance * extent_px / short_px / fill, 8.0)
    camera, places = seen_from(distance)
    middle = (places.min(axis=0) + places.max(axis=0)) / 2
    # Nearer to the centre than any neighbour, or nobody could say which one is meant.
    slack_px = ((1 - fill) / 2 + 0.02) * short_px * 0.25
    off_px = middle - np.array(size) / 2 + rng.uniform(-slack_px, slack_px, 2)
    shift = (off_px[0] * camera.axes[0] - off_px[1] * camera.axes[1]) * distance / focal_px
    position = camera.position + shift
    return Camera(wide_px, high_px, focal_px, position, camera.axes)


def _tone(colour: str) -> Array:
    return np.asarray(SRGB_TO_LINEAR[list(mix(colour, colour, 0))])


def _standing(
    product: Product,
    siblings: tuple[Product, ...],
    visit: Visit,
    face: str,
    rng: np.random.Generator,
) -> tuple[Body, Room, list[tuple[Body, float]]]:
    half, _, deep = half_extent(product)
    turn = stand(product, float(np.clip(rng.normal(0, 0.28), -0.65, 0.65)))
    body = product_body(product, face, np.zeros(3, np.float32), turn)
    room = make_room(visit.scene, max(half * 0.4, deep), stream(visit.room_seed, "room"))
    around = place_neighbours(product, siblings, face, room.depth_cm, rng)
    around += place_clutter(visit.scene, product, rng)
    return body, room, around


def _held(product: Product, visit: Visit, face: str, rng: np.random.Generator) -> tuple[Body, Room]:
    turn = rotation(
        float(np.clip(rng.normal(0, 0.25), -0.55, 0.55)),
        float(rng.uniform(-0.15, 0.25)),
        float(np.clip(rng.normal(0, 0.16), -0.4, 0.4)),
    )
    body = product_body(product, face, np.zeros(3, np.float32), turn)
    return body, make_room(visit.scene, 0.0, stream(visit.room_seed, "room"))


def _blur_px(camera: Camera, body: Body, subject: Body, aperture: float) -> float:
    """Circle of confusion of a body where the subject is in focus, pixels (thin lens)."""
    depths = camera.project(np.stack([body.position, subject.position]))[1]
    return float(abs(1 - depths[1] / depths[0]) * aperture)


def _draw_standing(
    camera: Camera,
    visit: Visit,
    parts: tuple[Body, Room, list[tuple[Body, float]]],
    rng: np.random.Generator,
) -> Array:
    import cv2

    subject, room, around = parts
    aperture = float(rng.uniform(2.0, 9.0))
    half = float(np.ptp(subject.solid.corners()[:, 0]) / 2)
    shades = [(body.position, radius) for body, radius in around] + [(subject.position, half)]
    frame = draw_room(camera, room, visit.light, shades)
    far = float(camera.project(np.array([[0.0, 5.0, -room.depth_cm]]))[1][0])
    near = float(camera.project(subject.position[None])[1][0])
    soft = cv2.GaussianBlur(frame, (0, 0), max(0.5, (1 - near / far) * aperture))
    frame = np.asarray(soft, np.float32)
    bodies = [subject, *(body for body, _ in around)]
    if room.edge_cm is not None:
        bodies.append(price_rail(room.edge_cm - 1.2, stream(visit.room_seed, "rail")))
    order = np.argsort([-camera.project(body.position[None])[1][0] for body in bodies])
    for index in order:
        body = bodies[int(index)]
        draw_body(frame, camera, body, visit.light, _blur_px(camera, body, subject, aperture))
    return frame


def _draw_held(
    camera: Camera,
    visit: Visit,
    parts: tuple[Body, Room],
    others: list[Body],
    rng: np.random.Generator,
) -> Array:
    import cv2

    subject, room = parts
    frame = draw_room(camera, room, visit.light, [])
    frame = np.asarray(cv2.GaussianBlur(frame, (0, 0), float(rng.uniform(2.0, 6.0))), np.float32)
    for body in others:
        draw_body(frame, camera, body, visit.light, float(rng.uniform(1.0, 3.0)))
    corners = subject.solid.corners()
    half, high, deep = np.ptp(corners, axis=0) * np.array([0.5, 1.0, 0.5])
    grip_y = float(high * rng.uniform(0.12, 0.3))
    front = float(deep * 0.75)
    tones = (_tone(str(rng.choice(SKINS))), _tone(str(rng.choice(SLEEVES))))
    behind, ahead = holding_hand(float(half), front, grip_y, rng, tones)
    for limb in behind:
        draw_limb(frame, camera, limb, visit.light)
    draw_body(frame, camera, subject, visit.light, 0.0)
    for limb in ahead:
        draw_limb(frame, camera, limb, visit.light)
    return frame


def _held_neighbours(
    product: Product, siblings: tuple[Product, ...], face: str, rng: np.random.Generator
) -> list[Body]:
    """Put siblings on a far ledge behind what is held."""
    bodies = []
    for _ in range(int(rng.integers(0, 3))):
        other = siblings[int(rng.integers(len(siblings)))]
        half, high, _ = half_extent(other)
        x = float(rng.uniform(-2.6, 2.6)) * half
        position = np.array([x, float(rng.uniform(-0.6, 0.4)) * high, -float(rng.uniform(14, 30))])
        bodies.append(product_body(other, face, position.astype(np.float32), stand(other, 0.0)))
    return bodies


def take_photo(
    product: Product, siblings: tuple[Product, ...], seed: int, split: str, index: int
) -> tuple[Array, str, np.random.Generator]:
    """Draw photo `index` of a product.

    Args:
        siblings: the other products of its family.
        split: "train" or "test": which places, light and typefaces are used.

    Returns:
        The upright picture (uint8 `[h, w, 3]`, sRGB), the visit's name and the photo's random
        stream, for what is left to choose (JPEG quality, orientation tag).
    """
    visit = visit_of(seed, split, index)
    rng = stream(seed, "photo", split, product.item_id, index)
    face = PRINT_RUNS[split][int(rng.integers(len(PRINT_RUNS[split])))]
    size = (SHORT_PX, LONG_PX) if rng.random() < 0.7 else (LONG_PX, SHORT_PX)
    fill = float(rng.uniform(0.55, 0.95))
    if visit.scene.floor is None:
        body, room = _held(product, visit, face, rng)
        camera = _fit_camera(body, fill, size, rng, held=True)
        others = _held_neighbours(product, siblings, face, rng)
        frame = _draw_held(camera, visit, (body, room), others, rng)
    else:
        body, room, around = _standing(product, siblings, visit, face, rng)
        camera = _fit_camera(body, fill, size, rng, held=False)
        frame = _draw_standing(camera, visit, (body, room, around), rng)
    return wear(frame, visit.light, rng), visit.name, rng
