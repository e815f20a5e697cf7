"""The picture of each product: that of the demo data, else drawn once and kept."""

from __future__ import annotations

import threading
from io import BytesIO
from pathlib import Path

from promolens_demo.catalogue import Product
from promolens_demo.tables import write_bytes


class SheetPictures:
    """Finds and draws pictures; safe to share between threads.

    Args:
        kept: folder for what was drawn; made when it is needed.
        drawn: folder that `promolens demo-data` wrote, looked at first; it may be missing.
    """

    def __init__(self, kept: Path, drawn: Path | None = None) -> None:
        self._kept = kept
        self._drawn = drawn
        # Drawing takes half a second of a processor: one at a time is quick enough.
        self._lock = threading.Lock()

    def has(self, product: Product) -> bool:
        """Tell whether a picture need not be drawn."""
        return self._found(product) is not None

    def png(self, product: Product) -> bytes:
        """Return a product on white ground, PNG, 600 x 600 pixels; drawn at the first call."""
        return self.file(product).read_bytes()

    def file(self, product: Product) -> Path:
        """Return where that picture lies; drawn at the first call."""
        with self._lock:
            found = self._found(product)
            if found is not None:
                return found
            drawn = self._kept / _name(product)
            self._kept.mkdir(parents=True, exist_ok=True)
            write_bytes(drawn, _draw(product))
            return drawn

    def _found(self, product: Product) -> Path | None:
        places = [self._kept / _name(product)]
        if self._drawn is not None:
            places.append(self._drawn / "catalogue" / _name(product))
        return next((place for place in places if place.is_file()), None)


def _name(product: Product) -> str:
    return f"{product.item_id}.png"


def _draw(product: Product) -> bytes:
    from PIL import Image

    from promolens_demo.portrait import catalogue_picture

    buffer = BytesIO()
    Image.fromarray(catalogue_picture(product)).save(buffer, "PNG")
    return buffer.getvalue()
