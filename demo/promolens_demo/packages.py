"""The packages: what solid each is, and how a label wraps around it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from PIL import Image, ImageDraw

from promolens_demo.catalogue import Product
from promolens_demo.labels import paint_front, paint_ground, paint_small_print
from promolens_demo.paint import Brush, Colour, mix
from promolens_demo.shapes import Carton, Pillow, Solid, Turned

_TEXTURE_HIGH_PX = 720
_SUPERSAMPLE = 2
_CREASES = (
    (-0.2, 0.3, 0.7, 0.5),
    (0.22, 0.72, -0.6, 0.45),
    (0.05, 0.12, 1.4, 0.4),
    (0.3, 0.4, 0.2, 0.3),
)


@dataclass(frozen=True)
class Package:
    """A solid with its print.

    Attributes:
        solid: its shape, in centimetres.
        gloss: how much of the lamps it mirrors, 0..1.
        parts: for turned solids, colours of the rows outside the label: (y from, y to, colour).
        label: y range of the label, in centimetres.
    """

    solid: Turned | Carton | Pillow
    gloss: float
    parts: tuple[tuple[float, float, Colour], ...] = ()
    label: tuple[float, float] = (0.0, 0.0)


def _can(product: Product) -> Package:
    radius, high = (3.3, 16.5) if product.large else (3.3, 9.4)
    profile = (
        (radius - 0.7, 0.0), (radius, 0.6), (radius, high - 1.0), (radius - 0.7, high - 0.15),
        (radius - 0.7, high), (radius - 0.85, high - 0.35), (0.0, high - 0.35),
    )  # fmt: skip
    metal = "#b9bcc1"
    parts = ((0.0, 0.55, metal), (high - 1.0, high + 1, metal))
    return Package(Turned(profile), 0.55, parts, (0.55, high - 1.0))


def _bottle(product: Product) -> Package:
    radius, high = (3.9, 26.0) if product.large else (3.5, 13.8)
    neck = high - 2.0
    top = 0.64 * high
    profile = (
        (radius - 0.5, 0.0), (radius, 0.6), (radius, 0.2 * high), (radius, top),
        (radius * 0.86, 0.74 * high), (1.5, neck - 0.5), (1.35, neck), (1.65, neck),
        (1.65, high - 0.15), (1.5, high), (0.0, high),
    )  # fmt: skip
    liquid = mix(product.flavour.accent, "#d8c9a0", 0.75)
    cap = mix(product.flavour.accent, "#ffffff", 0.25)
    parts = ((0.0, 0.14 * high, liquid), (top, neck, liquid), (neck, high + 1, cap))
    return Package(Turned(profile), 0.5, parts, (0.14 * high, top))


def _jug(product: Product) -> Package:
    radius, high = (4.2, 21.5) if product.large else (3.4, 11.5)
    top = 0.74 * high
    neck = high - 1.5
    profile = (
        (radius - 0.6, 0.0), (radius, 0.8), (radius, top), (radius * 0.9, 0.8 * high),
        (2.1, neck - 0.3), (2.0, neck), (2.3, neck), (2.3, high), (0.0, high),
    )  # fmt: skip
    body = "#f4f0e6"
    cap = mix(product.flavour.accent, "#ffffff", 0.15)
    parts = ((0.0, 0.06 * high, body), (top, neck, body), (neck, high + 1, cap))
    return Package(Turned(profile), 0.3, parts, (0.06 * high, top))


def _cup(product: Product) -> Package:
    bottom, top, high = (5.0, 7.2, 9.4) if product.large else (3.5, 4.7, 11.0)
    profile = (
        (bottom, 0.0), (bottom, 0.5), (top, high - 0.5), (top + 0.3, high - 0.5),
        (top + 0.3, high - 0.15), (top, high), (0.0, high),
    )  # fmt: skip
    foil = mix(product.family.colours[0], "#ffffff", 0.82)
    parts = ((0.0, 0.5, "#f2efe8"), (high - 0.5, high + 1, foil))
    return Package(Turned(profile), 0.18, parts, (0.5, high - 0.5))


def _box(product: Product) -> Package:
    return Package(Carton(19.0, 13.5, 5.0) if product.large else Carton(10.5, 15.0, 3.6), 0.15)


def _bag(product: Product) -> Package:
    if product.large:
        return Package(Pillow(22.0, 24.0, 3.6, _CREASES), 0.45)
    return Package(Pillow(13.0, 19.0, 2.6, _CREASES), 0.45)


PACKAGES = {"can": _can, "bottle": _bottle, "jug": _jug, "cup": _cup, "box": _box, "bag": _bag}


def package_of(product: Product) -> Package:
    """Return the package that a product comes in."""
    return PACKAGES[product.family.kind.package](product)


def solid_of(product: Product) -> Solid:
    """Return the solid of a product's package."""
    return package_of(product).solid


def _wrap_turned(package: Package, solid: Turned, product: Product, face: str) -> Image.Image:
    """Unroll a turned body: rows by length along the profile, columns by angle."""
    points = solid.profile
    length = sum(math.dist(a, b) for a, b in pairwise(points))
    radius = max(r for r, _ in points)
    px_cm = _TEXTURE_HIGH_PX * _SUPERSAMPLE / length
    wide_px, high_px = round(2 * math.pi * radius * px_cm), round(length * px_cm)
    picture = Image.new("RGB", (wide_px, high_px), product.family.colours[0])

    def row(y: float) -> float:
        lengths = solid.lengths()
        for index in range(len(points) - 1):
            (_, y0), (_, y1) = points[index], points[index + 1]
            if y0 <= y <= y1 and y1 > y0:
                share = (y - y0) / (y1 - y0)
                v = lengths[index] + share * (lengths[index + 1] - lengths[index])
                return float(v) * high_px
        return 0.0

    top, bottom = row(package.label[1]), row(package.label[0])
    paint_ground(picture, product, (0, top, wide_px, bottom))
    panel_px = min(0.31 * wide_px, 1.15 * (bottom - top))
    for centre in (0.0, 0.5, 1.0):
        middle = centre * wide_px
        area = (middle - panel_px / 2, top, middle + panel_px / 2, bottom)
        paint_front(picture, product, face, area)
    for centre in (0.25, 0.75):
        middle = centre * wide_px
        area = (middle - panel_px * 0.28, top, middle + panel_px * 0.28, bottom)
        paint_small_print(picture, product, face, area)
    draw = ImageDraw.Draw(picture)
    for low, high, colour in package.parts:
        upper = 0.0 if high > points[-1][1] else row(high)
        draw.rectangle((0, upper, wide_px, row(low)), fill=colour)
    return picture


def _wrap_carton(solid: Carton, product: Product, face: str) -> Image.Image:
    px_cm = _TEXTURE_HIGH_PX * _SUPERSAMPLE / (solid.high + solid.deep)
    wide, high, deep = (round(v * px_cm) for v in (solid.wide, solid.high, solid.deep))
    base, ink = product.family.colours
    picture = Image.new("RGB", (2 * (wide + deep), high + deep), base)
    paint_ground(picture, product, (0, 0, 2 * (wide + deep), high))
    for left in (0, wide + deep):
        if wide <= high:
            paint_front(picture, product, face, (left, 0, left + wide, high))
        else:
            margin = (wide - high) // 2
            paint_front(picture, product, face, (left + margin, 0, left + wide - margin, high))
    paint_small_print(picture, product, face, (wide, 0, wide + deep, high))
    paint_small_print(picture, product, face, (2 * wide + deep, 0, 2 * wide + 2 * deep, high))
    lid = Brush(picture, face, (0, high, wide, high + deep))
    lid.fill((0, 0, 1, 1), mix(base, "#ffffff", 0.15))
    lid.text((0.06, 0.2, 0.6, 0.8), product.family.brand_ko, ink)
    lid.text((0.66, 0.3, 0.94, 0.7), product.flavour.name_ko, ink)
    return picture


def _wrap_pillow(solid: Pillow, product: Product, face: str) -> Image.Image:
    px_cm = _TEXTURE_HIGH_PX * _SUPERSAMPLE / solid.high
    wide_px, high_px = round(solid.wide * px_cm), round(solid.high * px_cm)
    picture = Image.new("RGB", (wide_px, high_px))
    paint_ground(picture, product, (0, 0, wide_px, high_px))
    area = (0.08 * wide_px, 0.05 * high_px, 0.92 * wide_px, 0.95 * high_px)
    paint_front(picture, product, face, area)
    draw = ImageDraw.Draw(picture)
    seal = mix(product.family.colours[0], "#ffffff", 0.35)
    crimp_px = 0.045 * high_px
    for top in (0.0, high_px - crimp_px):
        draw.rectangle((0, top, wide_px, top + crimp_px), fill=seal)
        for index in range(0, 90, 2):
            x = index * wide_px / 90
            draw.line((x, top, x, top + crimp_px), fill=mix(seal, "#000000", 0.16), width=4)
    return picture


@lru_cache(maxsize=96)
def wrapping(product: Product, face: str) -> Image.Image:
    """Paint the whole wrapping of a product, printed in `face`, about 720 pixels high.

    Its u, v are those of the package's solid. Callers must not write on it: it is kept.
    """
    package = package_of(product)
    if isinstance(package.solid, Turned):
        picture = _wrap_turned(package, package.solid, product, face)
    elif isinstance(package.solid, Carton):
        picture = _wrap_carton(package.solid, product, face)
    else:
        picture = _wrap_pillow(package.solid, product, face)
    return picture.reduce(_SUPERSAMPLE)
