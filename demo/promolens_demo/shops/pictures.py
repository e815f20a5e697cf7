"""Product pictures: those of a demo-data folder, else the front label, drawn when asked for."""

from __future__ import annotations

from functools import lru_cache
from io import BytesIO
from pathlib import Path

from PIL import Image

from promolens_demo.catalogue import Product, make_catalogue, max_products
from promolens_demo.fonts import CATALOGUE_RUN
from promolens_demo.labels import paint_front, paint_ground
from promolens_demo.paint import Brush
from promolens_demo.shops.goods import FRESH_NUMBERS_FROM, N_FRESH, fresh_food
from promolens_demo.shops.image_paths import NUMBERS

SIDE_PX = 300
_LABEL_PX = (50, 10, 250, 290)
_FORMATS = {"jpg": "JPEG", "png": "PNG", "gif": "GIF"}
MEDIA_TYPES = {"JPEG": "image/jpeg", "PNG": "image/png", "GIF": "image/gif"}


def format_of(path: str) -> str:
    """Return the picture format that a path's ending names; JPEG where it names none."""
    return _FORMATS.get(path.rpartition(".")[2].lower(), "JPEG")


class Pictures:
    """Draws pictures and keeps them; safe to use from several threads."""

    def __init__(self, folder: Path | None) -> None:
        """Show the pictures of demo data in `folder` where it has them."""
        self._folder = folder
        self._made = lru_cache(maxsize=4096)(self._make)

    def of(self, number: int | None, picture_format: str) -> bytes:
        """Return the picture of product `number` (from 1); a placeholder for an unknown one."""
        return self._made(number, picture_format)

    def _make(self, number: int | None, picture_format: str) -> bytes:
        picture = self.draw(number)
        buffer = BytesIO()
        picture.save(buffer, picture_format, quality=85)
        return buffer.getvalue()

    def draw(self, number: int | None) -> Image.Image:
        """Return the picture as `SIDE_PX` by `SIDE_PX` RGB, drawn anew at each call."""
        if number is None:
            return _placeholder("준비 중")
        if 1 <= number <= max_products():
            product = make_catalogue(max_products())[number - 1]
            return self._photographed(product) or _label(product)
        fresh = number - FRESH_NUMBERS_FROM % NUMBERS
        if 0 <= fresh < N_FRESH:
            goods = fresh_food(fresh)
            return _placeholder(goods.flavour, goods.kind)
        return _placeholder("준비 중")

    def _photographed(self, product: Product) -> Image.Image | None:
        if self._folder is None:
            return None
        path = self._folder / "catalogue" / f"{product.item_id}.png"
        if not path.is_file():
            return None
        with Image.open(path) as picture:
            return picture.convert("RGB").resize((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS)


def _label(product: Product) -> Image.Image:
    # Twice as large and made smaller: outlines of letters are no thinner than a pixel.
    picture = Image.new("RGB", (2 * SIDE_PX, 2 * SIDE_PX), "#ffffff")
    left, top, right, bottom = (2 * edge for edge in _LABEL_PX)
    paint_ground(picture, product, (left, top, right, bottom))
    paint_front(picture, product, CATALOGUE_RUN, (left, top, right, bottom))
    return picture.resize((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS)


def _placeholder(*lines: str) -> Image.Image:
    picture = Image.new("RGB", (SIDE_PX, SIDE_PX), "#ffffff")
    brush = Brush(picture, CATALOGUE_RUN, (20, 20, SIDE_PX - 20, SIDE_PX - 20))
    brush.fill((0, 0, 1, 1), "#e9ecef", round_share=0.1)
    for turn, line in enumerate(lines):
        top = 0.4 + 0.16 * turn
        brush.text((0.1, top, 0.9, top + 0.13), line, "#6b7177")
    return picture
