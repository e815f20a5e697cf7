"""Where photos are taken, and what stands around the product. Test scenes are never trained on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

from promolens_demo.arrays import Array
from promolens_demo.catalogue import Product
from promolens_demo.materials import TILE_PX, VARIANTS, material
from promolens_demo.packages import package_of
from promolens_demo.render import Body, Room, halvings, print_levels, rotation
from promolens_demo.seeds import stream
from promolens_demo.shapes import Carton, Pillow, Solid, Turned


@dataclass(frozen=True)
class SceneKind:
    """A kind of place.

    Attributes:
        floor, wall: surfaces, keys of `materials.MATERIALS`; no floor where the product is held.
        depth_cm: how far behind the product the wall is.
        floor_px_cm, wall_px_cm: scale of the tiles.
        shelf: the floor is a shelf board with a price rail.
        clutter: things that may stand about, keys of `CLUTTER`.
    """

    floor: str | None
    wall: str
    depth_cm: float
    floor_px_cm: float
    wall_px_cm: float
    shelf: bool = False
    clutter: tuple[str, ...] = ()


SCENES = {
    "train": {
        "shop-shelf": SceneKind("steel", "pegboard", 20, 12, 10, shelf=True),
        "oak-table": SceneKind("oak", "plaster", 55, 12, 6, clutter=("mug", "book", "jar")),
        "shop-counter": SceneKind("laminate", "aisle", 110, 10, 3, clutter=("jar", "till")),
        "held-in-aisle": SceneKind(None, "aisle", 130, 10, 2.5),
        "kitchen-cloth": SceneKind("linen", "cupboard", 45, 14, 6, clutter=("mug", "jar")),
        "held-at-home": SceneKind(None, "cupboard", 120, 10, 3),
    },
    "test": {
        "fridge": SceneKind("wire", "icebox", 22, 14, 8, shelf=True),
        "worktop": SceneKind("granite", "tiles", 40, 11, 7, clutter=("tin", "pot")),
        "bench": SceneKind("concrete", "brick", 70, 9, 6, clutter=("tumbler", "parcel")),
        "held-in-street": SceneKind(None, "street", 260, 10, 1.2),
        "picnic": SceneKind("gingham", "meadow", 150, 10, 3, clutter=("tumbler", "parcel")),
        "held-at-wall": SceneKind(None, "brick", 120, 10, 5),
    },
}

# Plain things: (solid, colours, gloss).
CLUTTER: dict[str, tuple[Solid, tuple[str, ...], float]] = {
    "mug": (
        Turned(((3.6, 0), (4.0, 1), (4.0, 9), (3.7, 9.2), (3.6, 8.4), (0, 8.4))),
        ("#e8e4da", "#35567d", "#8f3b32"),
        0.3,
    ),
    "jar": (
        Turned(((4.2, 0), (4.4, 0.8), (4.4, 9), (3.4, 10.4), (3.7, 10.4), (3.7, 12), (0, 12))),
        ("#b58b45", "#7d2d2a", "#c9c2a5"),
        0.5,
    ),
    "book": (Carton(14, 2.6, 20), ("#39576b", "#8a6d3b", "#5f3a4f"), 0.05),
    "till": (Carton(22, 14, 18), ("#3b3d42", "#d6d3cc"), 0.15),
    "tin": (
        Turned(((5, 0), (5, 7.4), (4.8, 7.4), (4.8, 7.0), (0, 7.0))),
        ("#a8adb3", "#2f6b58", "#b99a2e"),
        0.6,
    ),
    "pot": (
        Turned(((4, 0), (5.4, 9), (5.9, 9), (5.9, 10.6), (5.2, 10.6), (0, 9.6))),
        ("#b2643c", "#6a7a6a", "#dcd6c8"),
        0.1,
    ),
    "tumbler": (
        Turned(((3, 0), (3.9, 13), (3.7, 13), (0, 12))),
        ("#c3d5da", "#d8b7a0", "#4a6b8a"),
        0.6,
    ),
    "parcel": (Carton(17, 11, 13), ("#b58f5f", "#d9d2c2"), 0.03),
}


@lru_cache(maxsize=64)
def plain_levels(colour: str) -> tuple[Array, ...]:
    """Return the wrapping of a plain thing: one colour and a paler stripe."""
    picture = Image.new("RGB", (64, 64), colour)
    ImageDraw.Draw(picture).rectangle((0, 40, 63, 46), fill="#e9e4d8")
    return halvings(picture)


@lru_cache(maxsize=16)
def price_rail_levels(variant: int) -> tuple[Array, ...]:
    """Return the wrapping of a shelf's front rail, with price tags."""
    rng = stream(0, "rail", variant)
    picture = Image.new("RGB", (1200, 100), "#c9ccd0")
    draw = ImageDraw.Draw(picture)
    for left in range(20, 560, 90):
        paper = ("#ffffff", "#fff3a8", "#ffffff", "#ffe0dc")[int(rng.integers(4))]
        draw.rectangle((left, 8, left + 66, 62), fill=paper, outline="#8a8d92")
        draw.rectangle((left + 6, 14, left + 46, 22), fill="#555555")
        draw.rectangle(
            (left + 6, 30, left + 58, 50), fill=("#222222", "#c02020")[int(rng.integers(2))]
        )
        draw.rectangle((left + 20, 34, left + 25, 46), fill=paper)
        draw.rectangle((left + 38, 34, left + 42, 46), fill=paper)
    return halvings(picture)


def make_room(kind: SceneKind, front_cm: float, rng: np.random.Generator) -> Room:
    """Draw a room of a kind; `front_cm` is where the product's front stands."""
    floor = material(kind.floor, int(rng.integers(VARIANTS))) if kind.floor else None
    wall = material(kind.wall, int(rng.integers(VARIANTS)))
    offset = (float(rng.uniform(0, TILE_PX)), float(rng.uniform(0, TILE_PX)))
    edge = front_cm + 1.2 if kind.shelf else None
    depth = kind.depth_cm * float(rng.uniform(0.85, 1.25))
    return Room(floor, wall, depth, kind.floor_px_cm, kind.wall_px_cm, offset, edge)


def product_body(product: Product, face: str, position: Array, turn: Array) -> Body:
    """Put a product somewhere, printed in `face`."""
    package = package_of(product)
    return Body(package.solid, print_levels(product, face), package.gloss, position, turn)


def half_extent(product: Product) -> tuple[float, float, float]:
    """Return half the width, the height and half the depth of a product, cm."""
    corners = package_of(product).solid.corners()
    wide, high, deep = np.ptp(corners, axis=0)
    return float(wide / 2), float(high), float(deep / 2)


def stand(product: Product, yaw: float) -> Array:
    """Return the turn of a standing product; bags lean back a little."""
    lean = -0.16 if isinstance(package_of(product).solid, Pillow) else 0.0
    return np.asarray(rotation(0.0, lean) @ rotation(yaw))


def place_neighbours(
    product: Product,
    siblings: tuple[Product, ...],
    face: str,
    depth_cm: float,
    rng: np.random.Generator,
) -> list[tuple[Body, float]]:
    """Stand other products of the family beside and behind the product.

    Returns:
        Bodies with their footprint's radius, cm.
    """
    half, _, deep = half_extent(product)
    placed: list[tuple[Body, float]] = []

    def put(x: float, z: float, other: Product) -> None:
        turn = stand(other, float(rng.normal(0, 0.35)))
        position = np.array([x, 0.0, z], np.float32)
        radius = max(half_extent(other)[0] * 0.8, half_extent(other)[2])
        placed.append((product_body(other, face, position, turn), radius))

    def pick() -> Product:
        return siblings[int(rng.integers(len(siblings)))]

    for side in (-1.0, 1.0):
        if rng.random() < 0.72:
            other = pick()
            wide = half_extent(other)[0]
            x = side * (half + wide + float(rng.uniform(0.3, 3.0)))
            put(x, -float(rng.uniform(0.0, 4.0)), other)
    for _ in range(int(rng.integers(0, 3))):
        other = pick()
        back = deep + half_extent(other)[2] + float(rng.uniform(0.8, 5.0))
        if back + half_extent(other)[2] < depth_cm:
            put(float(rng.uniform(-1.3, 1.3)) * half * 1.4, -back, other)
    return placed


def place_clutter(
    kind: SceneKind, product: Product, rng: np.random.Generator
) -> list[tuple[Body, float]]:
    """Stand up to two plain things about, to the sides and behind."""
    half, _, deep = half_extent(product)
    placed: list[tuple[Body, float]] = []
    for _ in range(int(rng.integers(0, 3)) if kind.clutter else 0):
        solid, colours, gloss = CLUTTER[kind.clutter[int(rng.integers(len(kind.clutter)))]]
        radius = float(np.ptp(solid.corners()[:, 0]) / 2)
        side = float(rng.choice([-1.0, 1.0]))
        x = side * (half * 2.2 + radius + float(rng.uniform(0, 8)))
        z = -(deep + radius + float(rng.uniform(2, 14)))
        levels = plain_levels(colours[int(rng.integers(len(colours)))])
        turn = rotation(float(rng.uniform(-0.8, 0.8)))
        position = np.array([x, 0.0, z], np.float32)
        placed.append((Body(solid, levels, gloss, position, turn), radius))
    return placed


def price_rail(front_cm: float, rng: np.random.Generator) -> Body:
    """Return the rail along a shelf's front edge."""
    solid = Carton(90.0, 4.2, 0.6)
    position = np.array([float(rng.uniform(-6, 6)), -3.7, front_cm + 1.4], np.float32)
    return Body(solid, price_rail_levels(int(rng.integers(4))), 0.1, position, rotation(0.0))
