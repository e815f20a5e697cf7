"""Surfaces: tables, shelves, walls and far backgrounds, as tiles of 512 pixels."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from promolens_demo.arrays import Array
from promolens_demo.seeds import stream

TILE_PX = 512
VARIANTS = 3

# Which surfaces the photos of a split may show; no surface is in both.
MATERIALS = {
    "train": ("steel", "pegboard", "oak", "plaster", "laminate", "aisle", "linen", "cupboard"),
    "test": (
        "wire", "icebox", "granite", "tiles", "concrete", "brick", "street", "gingham", "meadow",
    ),
}  # fmt: skip


def _noise(rng: np.random.Generator, rows: int, columns: int) -> Array:
    """Smooth noise, 0..1, `[512, 512]`; more rows give finer grain down the picture."""
    import cv2

    coarse = rng.random((rows, columns), dtype=np.float32)
    return np.asarray(cv2.resize(coarse, (TILE_PX, TILE_PX), interpolation=cv2.INTER_CUBIC))


def _tone(level: Array, dark: tuple[int, int, int], pale: tuple[int, int, int]) -> Array:
    low, high = np.array(dark, np.float32), np.array(pale, np.float32)
    return low + (high - low) * level[..., None]


def _grid() -> tuple[Array, Array]:
    axis = np.arange(TILE_PX, dtype=np.float32)
    across, down = np.meshgrid(axis, axis)
    return across, down


def _steel(rng: np.random.Generator) -> Array:
    grain = _noise(rng, 256, 6) * 0.5 + _noise(rng, 4, 4) * 0.5
    return _tone(grain, (150, 152, 156), (214, 216, 220))


def _pegboard(rng: np.random.Generator) -> Array:
    across, down = _grid()
    hole = ((across % 32 - 16) ** 2 + (down % 32 - 16) ** 2) < 14
    base = _tone(_noise(rng, 8, 8), (196, 196, 190), (222, 222, 214))
    base[hole] = (70, 70, 72)
    return base


def _oak(rng: np.random.Generator) -> Array:
    rings = np.sin(_noise(rng, 40, 3) * 14 + _noise(rng, 6, 3) * 9) * 0.5 + 0.5
    colour = _tone(rings * 0.6 + _noise(rng, 256, 8) * 0.4, (112, 72, 40), (190, 140, 90))
    _, down = _grid()
    colour[(down % 128) < 2] *= 0.6
    return colour


def _plaster(rng: np.random.Generator) -> Array:
    tints = ((205, 200, 188), (176, 192, 196), (198, 180, 168))
    base = np.array(tints[int(rng.integers(len(tints)))], np.float32)
    return base * (0.9 + 0.14 * (_noise(rng, 6, 6) * 0.6 + _noise(rng, 128, 128) * 0.4))[..., None]


def _laminate(rng: np.random.Generator) -> Array:
    speckle = rng.random((TILE_PX, TILE_PX), dtype=np.float32)
    colour = _tone(_noise(rng, 4, 4), (218, 214, 206), (236, 233, 226))
    colour[speckle > 0.985] = (120, 112, 104)
    colour[speckle < 0.01] = (250, 250, 248)
    return colour


def _aisle(rng: np.random.Generator) -> Array:
    """Shop shelves full of goods, out of focus."""
    colour = np.full((TILE_PX, TILE_PX, 3), 60.0, np.float32)
    for row in range(4):
        x = 0
        while x < TILE_PX:
            wide, high = int(rng.integers(14, 46)), int(rng.integers(60, 108))
            foot = row * 128 + 116
            colour[foot - high : foot, x : x + wide] = rng.integers(30, 245, 3)
            band = foot - int(high * rng.uniform(0.3, 0.7))
            colour[band : band + high // 5, x : x + wide] = rng.integers(120, 255, 3)
            x += wide + int(rng.integers(1, 5))
        colour[row * 128 + 116 : row * 128 + 128] = (205, 203, 198)
    return _soft(colour, 7.0)


def _linen(rng: np.random.Generator) -> Array:
    across, down = _grid()
    weave = 0.5 + 0.25 * np.sin(across * 1.57) + 0.25 * np.sin(down * 1.57)
    tints = (((150, 152, 128), (204, 202, 178)), ((96, 110, 138), (150, 162, 186)))
    dark, pale = tints[int(rng.integers(len(tints)))]
    return _tone(weave * 0.5 + _noise(rng, 9, 9) * 0.5, dark, pale)


def _cupboard(rng: np.random.Generator) -> Array:
    across, down = _grid()
    colour = _tone(_noise(rng, 3, 90), (206, 198, 180), (232, 226, 212))
    colour[((across % 256) < 5) | ((down % 512) < 5)] *= 0.55
    knob = ((across % 256 - 225) ** 2 + (down - 250) ** 2) < 120
    colour[knob] = (120, 112, 100)
    return colour


def _wire(rng: np.random.Generator) -> Array:
    across, down = _grid()
    colour = _tone(_noise(rng, 5, 5), (70, 82, 92), (110, 124, 134))
    bar = (across % 32) < 9
    colour[bar] = (222, 228, 232)
    colour[(down % 256) < 12] = (206, 212, 218)
    return colour


def _icebox(rng: np.random.Generator) -> Array:
    _, down = _grid()
    colour = _tone(_noise(rng, 3, 3), (188, 208, 220), (228, 240, 246))
    colour[(down % 128) < 6] *= 0.82
    return colour


def _granite(rng: np.random.Generator) -> Array:
    mixed = _noise(rng, 90, 90) * 0.5 + _noise(rng, 200, 200) * 0.5
    colour = _tone(mixed, (36, 38, 44), (128, 124, 128))
    sparkle = rng.random((TILE_PX, TILE_PX), dtype=np.float32) > 0.985
    colour[sparkle] = (196, 190, 190)
    return colour


def _tiles(rng: np.random.Generator) -> Array:
    across, down = _grid()
    shift = np.where((down // 64) % 2 == 0, 0, 64)
    joint = ((down % 64) < 4) | (((across + shift) % 128) < 4)
    tints = ((196, 214, 206), (226, 222, 214), (150, 180, 196))
    base = np.array(tints[int(rng.integers(len(tints)))], np.float32)
    colour = base * (0.9 + 0.12 * _noise(rng, 9, 5))[..., None]
    colour[joint] = (168, 164, 156)
    return colour


def _concrete(rng: np.random.Generator) -> Array:
    mixed = _noise(rng, 5, 5) * 0.45 + _noise(rng, 60, 60) * 0.3 + _noise(rng, 250, 250) * 0.25
    return _tone(mixed, (104, 102, 98), (186, 184, 178))


def _brick(rng: np.random.Generator) -> Array:
    across, down = _grid()
    row = (down // 64).astype(int)
    column = ((across + (row % 2) * 64) // 128).astype(int)
    tone = rng.random((8, 5), dtype=np.float32)[row % 8, column % 5]
    colour = _tone(0.6 * tone + 0.4 * _noise(rng, 128, 128), (112, 52, 40), (176, 96, 72))
    joint = ((down % 64) < 7) | (((across + (row % 2) * 64) % 128) < 7)
    colour[joint] = (180, 172, 160)
    return colour


def _street(rng: np.random.Generator) -> Array:
    """A street out of focus: sky, house fronts with windows, a road, some lights."""
    colour = np.full((TILE_PX, TILE_PX, 3), (196, 214, 232), np.float32)
    x = 0
    while x < TILE_PX:
        wide, top = int(rng.integers(60, 130)), int(rng.integers(40, 200))
        front = rng.integers(90, 200, 3)
        colour[top:380, x : x + wide] = front
        for y in range(top + 16, 360, 44):
            for w in range(x + 10, x + wide - 18, 34):
                colour[y : y + 22, w : w + 16] = front * rng.uniform(0.4, 1.5)
        x += wide
    colour[380:] = (112, 112, 116)
    for _ in range(14):
        row, column = rng.integers(200, 420), rng.integers(0, TILE_PX - 14)
        colour[row : row + 12, column : column + 12] = rng.integers(150, 256, 3)
    return _soft(np.clip(colour, 0, 255), 9.0)


def _gingham(rng: np.random.Generator) -> Array:
    across, down = _grid()
    level = ((across // 32) % 2 + (down // 32) % 2) / 2
    tints = ((196, 60, 66), (52, 106, 160), (72, 138, 92))
    dye = tints[int(rng.integers(len(tints)))]
    return (
        _tone(1 - level * 0.9, dye, (244, 240, 232))
        * (0.94 + 0.08 * _noise(rng, 60, 60))[..., None]
    )


def _meadow(rng: np.random.Generator) -> Array:
    blades = _noise(rng, 40, 160) * 0.6 + _noise(rng, 7, 7) * 0.4
    return _soft(_tone(blades, (40, 74, 30), (150, 182, 92)), 3.0)


def _soft(colour: Array, sigma_px: float) -> Array:
    import cv2

    wrapped = np.pad(colour, ((32, 32), (32, 32), (0, 0)), mode="wrap")
    return np.asarray(cv2.GaussianBlur(wrapped, (0, 0), sigma_px)[32:-32, 32:-32])


_MAKERS: dict[str, Callable[[np.random.Generator], Array]] = {
    "steel": _steel, "pegboard": _pegboard, "oak": _oak, "plaster": _plaster,
    "laminate": _laminate, "aisle": _aisle, "linen": _linen, "cupboard": _cupboard,
    "wire": _wire, "icebox": _icebox, "granite": _granite, "tiles": _tiles,
    "concrete": _concrete, "brick": _brick, "street": _street, "gingham": _gingham,
    "meadow": _meadow,
}  # fmt: skip


@lru_cache(maxsize=64)
def material(name: str, variant: int) -> Array:
    """Return a surface's tile, uint8 `[512, 512, 3]`; the same for every seed of the catalogue.

    Args:
        name: one of `MATERIALS`.
        variant: 0 to `VARIANTS` - 1.
    """
    colour = _MAKERS[name](stream(0, "material", name, variant))
    return np.clip(colour, 0, 255).astype(np.uint8)
