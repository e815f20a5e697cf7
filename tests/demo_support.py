"""What the tests of `promolens demo` share: pictures that need no drawing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from promolens_demo.catalogue import Product


def mosaics(folder: Path, products: Sequence[Product]) -> None:
    """Write `<item_id>.png` of each product: 16 coloured squares, unlike any other product's."""
    random = np.random.default_rng(7)
    for product in products:
        squares = Image.fromarray(random.integers(0, 256, (4, 4, 3), np.uint8))
        shown = squares.resize((96, 96), Image.Resampling.NEAREST)
        shown.save(folder / f"{product.item_id}.png")
