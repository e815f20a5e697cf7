"""Pictures of the invented products for the camera app: `<barcode>.webp` and `index.json`.

They are drawn for the demo. A real service puts pictures there that it may show: chains forbid to
take theirs.
"""

from __future__ import annotations

import json
from pathlib import Path

from PIL import Image

from promolens_demo.catalogue import DEFAULT_PRODUCTS, make_catalogue, max_products
from promolens_demo.shops.pictures import Pictures
from promolens_runtime.errors import InputError

SIDE_PX = 192
_QUALITY = 70


def write_fronts(folder: Path, count: int = DEFAULT_PRODUCTS) -> tuple[str, ...]:
    """Draw the fronts of the first `count` products into `folder`; returns their barcodes.

    The list is written last: whoever reads it finds every picture that it names.

    Raises:
        InputError: `count` is not 1 to `max_products()`.
    """
    if not 1 <= count <= max_products():
        raise InputError(
            f"Expected 1 to {max_products()} products. Received {count}. Change the number."
        )
    folder.mkdir(parents=True, exist_ok=True)
    pictures = Pictures(None)
    barcodes = []
    for number, product in enumerate(make_catalogue(max_products())[:count], start=1):
        front = pictures.draw(number).resize((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS)
        front.save(folder / f"{product.barcode}.webp", "WEBP", quality=_QUALITY)
        barcodes.append(product.barcode)
    (folder / "index.json").write_text(json.dumps(barcodes), "utf-8")
    return tuple(barcodes)
