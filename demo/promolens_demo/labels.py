"""What is printed on a package: the front panel in three layouts, and the small print."""

from __future__ import annotations

from PIL import Image

from promolens_demo.catalogue import Product
from promolens_demo.paint import Box, Brush, mix, readable_on

_LARGE_MARKS = {
    "can": "대용량",
    "bottle": "넉넉한",
    "bag": "큰봉지",
    "box": "나눔팩",
    "cup": "곱빼기",
    "jug": "온가족",
}
_SMALL_PRINT = (
    "원재료명: 정제수, 설탕, 향료",
    "보관: 직사광선을 피하세요",
    "소비기한: 윗면 표기일까지",
    "영양정보 100당 180 kcal",
    "나트륨 120 mg 당류 11 g",
)
# Bands that run around the whole package, by layout: (top, bottom) as a share of the label.
_BANDS = {0: (0.63, 0.79), 1: (0.85, 1.0), 2: (0.49, 0.56)}


def paint_ground(picture: Image.Image, product: Product, area: Box) -> None:
    """Paint the label's base colour and the flavour's band over the whole of `area` (pixels)."""
    base, _ = product.family.colours
    brush = Brush(picture, "", area)
    steps = 24
    for step in range(steps):
        shade = mix(
            base, "#000000" if step > steps / 2 else "#ffffff", abs(step / steps - 0.5) * 0.3
        )
        brush.fill((0, step / steps, 1, (step + 1) / steps), shade)
    top, bottom = _BANDS[product.family.layout]
    brush.fill((0, top, 1, bottom), product.flavour.accent)
    line = mix(product.family.colours[1], product.flavour.accent, 0.2)
    brush.fill((0, top - 0.008, 1, top), line)
    brush.fill((0, bottom, 1, bottom + 0.008), line)


def _size_mark(brush: Brush, product: Product, box: Box) -> None:
    """Write the size: a plain pill on the small one, a yellow badge with a word on the large."""
    text = f"{product.size}{product.unit}"
    left, top, right, bottom = box
    if not product.large:
        brush.fill((left, top, right, bottom), "#ffffff", round_share=0.5)
        inner = (left + 0.03, top + 0.012, right - 0.03, bottom - 0.012)
        brush.text(inner, text, "#26262a")
        return
    grow = (bottom - top) * 0.7
    top -= grow
    brush.fill((left - 0.04, top, right + 0.04, bottom), "#ffd21f", round_share=0.25)
    middle = top + (bottom - top) * 0.46
    mark = _LARGE_MARKS[product.family.kind.package]
    brush.text((left, top + 0.01, right, middle), mark, "#b01818")
    brush.text((left, middle, right, bottom - 0.01), text, "#1c1c1c")


def _banded(brush: Brush, product: Product) -> None:
    base, ink = product.family.colours
    flavour = product.flavour
    brush.text(
        (0.04, 0.05, 0.96, 0.25), product.family.brand_ko, ink, outline=mix(base, "#000", 0.5)
    )
    brush.text((0.2, 0.25, 0.8, 0.3), product.family.brand_en.upper(), mix(ink, base, 0.2))
    brush.oval((0.24, 0.31, 0.76, 0.62), mix("#fffaf0", flavour.accent, 0.2))
    brush.motif((0.2, 0.335, 0.8, 0.6), flavour.slug)
    brush.text((0.1, 0.65, 0.9, 0.76), flavour.name_ko, readable_on(flavour.accent))
    _size_mark(brush, product, (0.3, 0.89, 0.7, 0.97))
    brush.text((0.06, 0.8, 0.48, 0.85), product.family.kind.name_ko, ink)


def _windowed(brush: Brush, product: Product) -> None:
    base, ink = product.family.colours
    flavour = product.flavour
    brush.fill((0.06, 0.05, 0.94, 0.24), mix(ink, base, 0.08), round_share=0.3)
    brush.text((0.1, 0.07, 0.9, 0.22), product.family.brand_ko, mix(base, ink, 0.0))
    brush.oval((0.08, 0.28, 0.92, 0.8), mix("#fffaf0", flavour.accent, 0.18), rim=flavour.accent)
    brush.motif((0.2, 0.3, 0.8, 0.6), flavour.slug)
    brush.text((0.2, 0.6, 0.8, 0.71), flavour.name_ko, mix(flavour.accent, "#000000", 0.45))
    brush.text((0.3, 0.72, 0.7, 0.765), flavour.name_en.upper(), "#4a4038")
    _size_mark(brush, product, (0.56, 0.88, 0.94, 0.97))
    brush.text((0.06, 0.9, 0.46, 0.96), product.family.kind.name_ko, readable_on(flavour.accent))


def _sliced(brush: Brush, product: Product) -> None:
    base, ink = product.family.colours
    flavour = product.flavour
    brush.text(
        (0.04, 0.07, 0.96, 0.24), product.family.brand_ko, ink, outline=mix(base, "#000", 0.25)
    )
    brush.text((0.06, 0.26, 0.5, 0.31), product.family.kind.name_en.upper(), mix(ink, base, 0.25))
    brush.text((0.06, 0.36, 0.94, 0.48), flavour.name_ko, ink)
    pale = mix("#fffaf0", flavour.accent, 0.25)
    brush.polygon((0.0, 0.84, 1.0, 0.6, 1.0, 0.96, 0.0, 0.96), pale)
    brush.motif((0.5, 0.58, 0.98, 0.88), flavour.slug)
    brush.motif((0.28, 0.72, 0.54, 0.92), flavour.slug)
    _size_mark(brush, product, (0.04, 0.89, 0.4, 0.97))


_LAYOUTS = {0: _banded, 1: _windowed, 2: _sliced}


def paint_front(picture: Image.Image, product: Product, face: str, area: Box) -> None:
    """Paint the front panel into `area` (pixels) in the family's layout, printed in `face`."""
    _LAYOUTS[product.family.layout](Brush(picture, face, area), product)


def paint_small_print(picture: Image.Image, product: Product, face: str, area: Box) -> None:
    """Paint the panel nobody reads: name, ingredients and the barcode."""
    brush = Brush(picture, face, area)
    brush.fill((0.04, 0.08, 0.96, 0.92), mix("#fffdf6", product.family.colours[0], 0.08))
    brush.text((0.1, 0.1, 0.9, 0.16), product.name_ko, "#2c2a28")
    for index, line in enumerate(_SMALL_PRINT):
        top = 0.2 + 0.07 * index
        brush.text((0.1, top, 0.9, top + 0.05), line, "#55504a")
    brush.text((0.1, 0.58, 0.9, 0.63), product.family.maker, "#2c2a28")
    brush.barcode((0.1, 0.68, 0.9, 0.88), product.barcode)
