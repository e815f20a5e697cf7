"""Barcodes drawn for tests, by the tables of the GS1 General Specifications (5.2)."""

from __future__ import annotations

from PIL import Image, ImageDraw, ImageFilter

# Modules of a digit: 1 is a bar. The right half has the complement, the G set is that mirrored.
_LEFT = (
    "0001101", "0011001", "0010011", "0111101", "0100011",
    "0110001", "0101111", "0111011", "0110111", "0001011",
)  # fmt: skip
_FIRST = (
    "LLLLLL", "LLGLGG", "LLGGLG", "LLGGGL", "LGLLGG",
    "LGGLLG", "LGGGLL", "LGLGLG", "LGLGGL", "LGGLGL",
)  # fmt: skip
_QUIET = 11
_PX = 3


def _right(digit: str) -> str:
    return "".join("10"[int(module)] for module in _LEFT[int(digit)])


def modules(digits: str) -> str:
    """Return the modules of an EAN-13 or EAN-8, quiet zones left out; 1 is a bar."""
    if len(digits) == 13:
        sets, left, right = _FIRST[int(digits[0])], digits[1:7], digits[7:]
    else:
        sets, left, right = "LLLL", digits[:4], digits[4:]
    coded = [
        _LEFT[int(digit)] if kind == "L" else _right(digit)[::-1]
        for kind, digit in zip(sets, left, strict=True)
    ]
    return "101" + "".join(coded) + "01010" + "".join(map(_right, right)) + "101"


def draw_barcode(digits: str, *, px: int = _PX, height_px: int = 120) -> Image.Image:
    """Return a barcode as RGB with its quiet zones; `px` is the width of the thinnest bar."""
    bars = modules(digits)
    picture = Image.new("RGB", ((len(bars) + 2 * _QUIET) * px, height_px + 40), "white")
    pen = ImageDraw.Draw(picture)
    for at, module in enumerate(bars):
        left = (at + _QUIET) * px
        if module == "1":
            pen.rectangle((left, 20, left + px - 1, 20 + height_px), fill="black")
    return picture


def on_a_pack(
    digits: str, *, turned_degrees: float = 0.0, blur_px: float = 0.0, px: int = _PX
) -> Image.Image:
    """Return a photo of 640 x 480 with the barcode on a coloured pack."""
    label = draw_barcode(digits, px=px).convert("RGBA").rotate(turned_degrees, expand=True)
    scene = Image.new("RGB", (640, 480), (196, 120, 60))
    scene.paste(label, ((640 - label.width) // 2, (480 - label.height) // 2), label)
    return scene.filter(ImageFilter.GaussianBlur(blur_px)) if blur_px else scene
