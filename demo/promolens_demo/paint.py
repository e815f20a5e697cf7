"""Label painting: colours, text that fills a box, badges, bars."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image, ImageColor, ImageDraw

from promolens_demo.barcodes import ean13_modules
from promolens_demo.fonts import load_font
from promolens_demo.motifs import draw_motif

Box = tuple[float, float, float, float]
Colour = str | tuple[int, int, int]


def mix(first: Colour, second: Colour, share: float) -> tuple[int, int, int]:
    """Blend two colours; `share` 0 gives the first, 1 the second."""
    a = ImageColor.getrgb(first) if isinstance(first, str) else first
    b = ImageColor.getrgb(second) if isinstance(second, str) else second
    red, green, blue = (round(x + (y - x) * share) for x, y in zip(a[:3], b[:3], strict=True))
    return red, green, blue


def readable_on(colour: Colour) -> tuple[int, int, int]:
    """Return near-white or near-black, whichever stands out on `colour`."""
    red, green, blue = mix(colour, colour, 0)
    return (28, 24, 22) if 0.3 * red + 0.59 * green + 0.11 * blue > 150 else (255, 253, 246)


@dataclass(frozen=True)
class Brush:
    """A picture being painted with one typeface.

    Boxes are `left, top, right, bottom` as fractions of `frame`, itself in pixels; so one drawing
    serves a panel of any size and place.
    """

    picture: Image.Image
    face: str
    frame: Box

    def pixels(self, box: Box) -> tuple[int, int, int, int]:
        """Translate a box of fractions to pixels."""
        left, top, right, bottom = self.frame
        wide, high = right - left, bottom - top
        return (
            round(left + box[0] * wide),
            round(top + box[1] * high),
            round(left + box[2] * wide),
            round(top + box[3] * high),
        )

    def fill(self, box: Box, colour: Colour, *, round_share: float = 0.0) -> None:
        """Fill a box; `round_share` of its short side is the corner radius."""
        area = self.pixels(box)
        radius = round_share * min(area[2] - area[0], area[3] - area[1])
        ImageDraw.Draw(self.picture).rounded_rectangle(area, radius=radius, fill=colour)

    def oval(self, box: Box, colour: Colour, *, rim: Colour | None = None) -> None:
        """Fill an ellipse, with a rim line if asked."""
        area = self.pixels(box)
        width = max(1, (area[3] - area[1]) // 28)
        ImageDraw.Draw(self.picture).ellipse(area, fill=colour, outline=rim, width=width)

    def polygon(self, points: tuple[float, ...], colour: Colour) -> None:
        """Fill a polygon given as fractions x0, y0, x1, y1 ..."""
        left, top, right, bottom = self.frame
        scaled = [
            (left + x * (right - left), top + y * (bottom - top))
            for x, y in zip(points[::2], points[1::2], strict=True)
        ]
        ImageDraw.Draw(self.picture).polygon(scaled, fill=colour)

    def text(self, box: Box, text: str, colour: Colour, *, outline: Colour | None = None) -> None:
        """Write one line as large as the box allows, centred; headlines are a little emboldened."""
        left, top, right, bottom = self.pixels(box)
        wide, high = max(1, right - left), max(1, bottom - top)
        trial = load_font(self.face, 100)
        ink = trial.getbbox(text, stroke_width=4)
        scale = min(wide / max(1.0, ink[2] - ink[0]), high / max(1.0, ink[3] - ink[1]))
        size_px = max(6, int(100 * scale))
        font = load_font(self.face, size_px)
        stroke_px = max(1, size_px // 28) if size_px >= 14 else 0
        ink = font.getbbox(text, stroke_width=stroke_px)
        x = (left + right - (ink[2] - ink[0])) / 2 - ink[0]
        y = (top + bottom - (ink[3] - ink[1])) / 2 - ink[1]
        draw = ImageDraw.Draw(self.picture)
        if outline is not None:
            width = stroke_px + max(1, size_px // 14)
            draw.text((x, y), text, outline, font, stroke_width=width, stroke_fill=outline)
        draw.text((x, y), text, colour, font, stroke_width=stroke_px, stroke_fill=colour)

    def motif(self, box: Box, name: str) -> None:
        """Paste a flavour's drawing into the largest centred square of a box."""
        left, top, right, bottom = self.pixels(box)
        side_px = max(2, min(right - left, bottom - top))
        drawing = draw_motif(name, side_px)
        place = ((left + right - side_px) // 2, (top + bottom - side_px) // 2)
        self.picture.paste(drawing, place, drawing)

    def barcode(self, box: Box, code: str) -> None:
        """Draw an EAN-13 symbol with its quiet zone and digits."""
        self.fill(box, "#ffffff")
        modules = ean13_modules(code)
        left, top, right, bottom = box
        step = (right - left) / (len(modules) + 14)
        high = (bottom - top) * 0.74
        for index, module in enumerate(modules):
            if module == "1":
                x = left + (index + 7) * step
                self.fill((x, top + 0.06 * (bottom - top), x + step, top + high), "#111111")
        self.text((left, top + high, right, bottom), code, "#111111")
